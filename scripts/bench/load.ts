/** The load process: holds the subscribers' sockets, sends turns to a contender, counts what arrives. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Turn } from './contender.ts';
import { type OneByOneAnswer, type OneByOneQuestion, oneByOne } from './one-by-one.ts';
import { PROTOCOLS, type SubscribedName } from './protocols.ts';
import { type PublishAnswer, type PublishQuestion, publish } from './publishers.ts';
import { quantileOf, sortedOf } from './quantiles.ts';
import { type Counter, RawSocket } from './raw-socket.ts';

/** Events of one turn, to which channels, and how many subscribers get them in all. */
export interface Traffic {
  readonly perTurn: number;
  readonly bytes: number;
  /** Published to one after another. */
  readonly channels: readonly string[];
  readonly deliveriesPerTurn: number;
}

export type LoadQuestion =
  | PublishQuestion
  /** Opens so many subscribers to everything after a position, or from the beginning, and waits until each has `events`. */
  | {
      readonly kind: 'catch-up';
      readonly port: number;
      readonly token: string;
      readonly clients: number;
      readonly lastEventId?: string | undefined;
      readonly events: number;
    }
  /** Opens a socket for each of `channels`. */
  | {
      readonly kind: 'connect';
      readonly contender: SubscribedName;
      readonly port: number;
      readonly token: string;
      readonly channels: readonly string[];
    }
  | OneByOneQuestion
  /** As many turns as the contender can do, for so long. */
  | { readonly kind: 'saturate'; readonly controlPort: number; readonly traffic: Traffic; readonly seconds: number }
  /** So many turns a second, for so long; latency is taken at a sample of the sockets. */
  | {
      readonly kind: 'pace';
      readonly controlPort: number;
      readonly traffic: Traffic;
      readonly seconds: number;
      readonly turnsPerSecond: number;
    };
export type LoadAnswer =
  | PublishAnswer
  | { readonly kind: 'caught-up'; readonly events: number; readonly seconds: number }
  | { readonly kind: 'ready' }
  | { readonly kind: 'connected' }
  | { readonly kind: 'saturated'; readonly deliveries: number; readonly seconds: number }
  | {
      readonly kind: 'paced';
      readonly deliveries: number;
      readonly late: number;
      readonly p50Ms: number;
      readonly p99Ms: number;
      readonly p999Ms: number;
      readonly maxMs: number;
    }
  | OneByOneAnswer
  | { readonly kind: 'failed'; readonly reason: string };

const CONNECTING_AT_ONCE = 100;
/** Deliveries in flight, about. */
const IN_FLIGHT = 4000;
const MAX_TURNS_IN_FLIGHT = 64;
/** Sockets at which latency is taken, spread over all. */
const SAMPLES = 20;
/** How long what is in flight may take to arrive. */
const DRAIN_MS = 20_000;
const CATCH_UP_MS = 120_000;

const counter: Counter = { frames: 0 };
const sockets: RawSocket[] = [];

async function connectAll({ contender, port, token, channels }: Extract<LoadQuestion, { kind: 'connect' }>): Promise<void> {
  const protocol = PROTOCOLS[contender];
  const open = async (channel: string, index: number) => {
    const socket = await RawSocket.open({
      port,
      path: protocol.path(channel),
      counter,
      answer: protocol.answer,
      hello: protocol.hello(channel, token, index),
      untilReady: protocol.untilReady(channel, token),
    });
    sockets.push(socket);
  };
  for (let start = 0; start < channels.length; start += CONNECTING_AT_ONCE) {
    await Promise.all(channels.slice(start, start + CONNECTING_AT_ONCE).map((channel, index) => open(channel, start + index)));
  }
}

class Turns {
  readonly #control: Socket;
  readonly #traffic: Traffic;
  readonly #before = counter.frames;
  sent = 0;

  private constructor(control: Socket, traffic: Traffic) {
    this.#control = control;
    this.#traffic = traffic;
  }

  static async connect(port: number, traffic: Traffic): Promise<Turns> {
    const control = connect(port, '127.0.0.1');
    control.setNoDelay(true);
    await once(control, 'connect');
    return new Turns(control, traffic);
  }

  get deliveries(): number {
    return counter.frames - this.#before;
  }

  get inFlight(): number {
    return this.sent - Math.floor(this.deliveries / this.#traffic.deliveriesPerTurn);
  }

  send(): void {
    const { perTurn, bytes, channels } = this.#traffic;
    const start = (this.sent * perTurn) % channels.length;
    const turn: Turn = {
      perTurn,
      bytes,
      channels: channels.length <= perTurn ? channels : [...channels, ...channels].slice(start, start + perTurn),
    };
    this.#control.write(`${JSON.stringify(turn)}\n`);
    this.sent += 1;
  }

  async arrived(): Promise<void> {
    const deadline = performance.now() + DRAIN_MS;
    while (this.inFlight > 0) {
      if (performance.now() > deadline) throw new Error(`${this.inFlight} turns did not arrive`);
      await wait(1);
    }
    this.#control.destroy();
  }
}

async function saturate({ controlPort, traffic, seconds }: Extract<LoadQuestion, { kind: 'saturate' }>): Promise<LoadAnswer> {
  const turns = await Turns.connect(controlPort, traffic);
  const most = Math.min(MAX_TURNS_IN_FLIGHT, Math.max(2, Math.ceil(IN_FLIGHT / traffic.deliveriesPerTurn)));
  const startedAt = performance.now();
  while (performance.now() - startedAt < seconds * 1000) {
    while (turns.inFlight < most) turns.send();
    await wait(1);
  }
  await turns.arrived();
  return { kind: 'saturated', deliveries: turns.deliveries, seconds: (performance.now() - startedAt) / 1000 };
}

async function pace({ controlPort, traffic, seconds, turnsPerSecond }: Extract<LoadQuestion, { kind: 'pace' }>): Promise<LoadAnswer> {
  const latencies: number[] = [];
  const sampled = Array.from({ length: SAMPLES }, (_, index) => sockets[Math.floor((index * sockets.length) / SAMPLES)]);
  for (const socket of sampled) if (socket !== undefined) socket.onLatency = (ms) => latencies.push(ms);
  const turns = await Turns.connect(controlPort, traffic);
  const startedAt = performance.now();
  let late = 0;
  for (let turn = 0; turn < seconds * turnsPerSecond; turn += 1) {
    const due = startedAt + (turn * 1000) / turnsPerSecond;
    const early = due - performance.now();
    if (early > 0) await wait(early);
    // A contender that does not hold the load falls behind without end; what waits is bounded.
    if (turns.inFlight > MAX_TURNS_IN_FLIGHT) late += 1;
    else turns.send();
  }
  await turns.arrived();
  for (const socket of sampled) if (socket !== undefined) socket.onLatency = undefined;
  const sorted = sortedOf(latencies);
  const at = (share: number) => quantileOf(sorted, share);
  return { kind: 'paced', deliveries: turns.deliveries, late, p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999), maxMs: at(1) };
}

async function catchUp({ port, token, clients, lastEventId, events }: Extract<LoadQuestion, { kind: 'catch-up' }>): Promise<LoadAnswer> {
  const { path, answer: reply } = PROTOCOLS.courier;
  const from = lastEventId === undefined ? { from: 'earliest' } : { lastEventId };
  const subscription = {
    id: 1,
    method: 'subscription',
    params: { path: 'events.subscribe', input: { json: { channels: ['**'], ...from } } },
  };
  const hello = [JSON.stringify({ method: 'connectionParams', data: { token } }), JSON.stringify(subscription)];
  const before = counter.frames;
  const startedAt = performance.now();
  let opened = 0;
  const open = async (): Promise<void> => {
    while (opened < clients) {
      opened += 1;
      sockets.push(
        await RawSocket.open({ port, path: path('**'), counter, hello, answer: reply, untilReady: (text) => text.includes('started') }),
      );
    }
  };
  await Promise.all(Array.from({ length: CONNECTING_AT_ONCE }, open));
  const deadline = performance.now() + CATCH_UP_MS;
  // Each also gets the notice that it is live.
  while (counter.frames - before < clients * events && performance.now() < deadline) await wait(1);
  if (counter.frames - before < clients * events) throw new Error(`${counter.frames - before} of ${clients * events} events came`);
  const seconds = (performance.now() - startedAt) / 1000;
  for (const socket of sockets.splice(0)) socket.close();
  return { kind: 'caught-up', events: clients * events, seconds };
}

async function answer(question: LoadQuestion): Promise<LoadAnswer> {
  if (question.kind === 'publish') return publish(question);
  if (question.kind === 'catch-up') return catchUp(question);
  if (question.kind === 'saturate') return saturate(question);
  if (question.kind === 'one-by-one') return oneByOne(question, sockets);
  if (question.kind === 'pace') return pace(question);
  await connectAll(question);
  return { kind: 'connected' };
}

process.on('message', (question: LoadQuestion) => {
  answer(question).then(
    (result) => process.send?.(result),
    (error: Error) => process.send?.({ kind: 'failed', reason: error.message } satisfies LoadAnswer),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.({ kind: 'ready' } satisfies LoadAnswer);
