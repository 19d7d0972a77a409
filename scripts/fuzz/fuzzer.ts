/**
 * Sends inputs to a gateway and looks whether anything that it promises breaks: its neighbours go on receiving, no reply
 * is an internal error, nothing is logged as one, nothing is stored out of time, connections are let go of, no input keeps
 * the event loop, none keeps memory.
 */
import type { FuzzedGateway } from './gateway.ts';
import type { Input } from './inputs.ts';
import { startNeighbour } from './neighbour.ts';
import { times } from './random.ts';
import { blockers, type Failure, hoarder, settled, underWay, type Visit, whoLogged } from './suspects.ts';
import { visit } from './visit.ts';

export interface FuzzOptions {
  readonly gateway: FuzzedGateway;
  readonly inputs: Iterable<Input>;
  /** How long one input may keep the event loop from its next turn, in ms of computing. */
  readonly maxBlockMs: number;
  readonly onProgress?: (tried: number) => void;
  /** Told of each failure when it is found. */
  readonly onFailure?: (failure: Failure) => void;
}

export interface FuzzOutcome {
  readonly tried: number;
  readonly byKind: Readonly<Record<string, number>>;
  /** What broke, with the input that breaks it. */
  readonly failures: readonly Failure[];
  /** The longest turn of the event loop, of whatever there was to do at once, in ms of computing. */
  readonly longestTurnMs: number;
  readonly peakRssBytes: number;
}

/** Inputs on their way at once. */
const AT_ONCE = 64;
/** Inputs between two looks at memory, for which everything has to come to rest. */
const BATCH = 20_000;
/** Inputs between two events to the neighbour. */
const BETWEEN_BEATS = 100;
/** Connections that clients in this process may keep open between two requests. */
const KEPT_CONNECTIONS = 8;

export async function fuzz({ gateway, inputs, maxBlockMs, onProgress, onFailure }: FuzzOptions): Promise<FuzzOutcome> {
  await using neighbour = await startNeighbour(gateway.url);
  const failures: Failure[] = [];
  const byKind: Record<string, number> = {};
  const waiting = inputs[Symbol.iterator]();
  const sockets = (await gateway.report('turns')).sockets + KEPT_CONNECTIONS;
  let [tried, longestTurnMs, peakRssBytes] = [0, 0, 0];

  const fail = (...found: readonly Failure[]) => {
    failures.push(...found);
    for (const failure of found) onFailure?.(failure);
  };
  const beat = async (input: Input) => {
    await neighbour.beat().catch(({ message }: Error) => fail({ input, reason: message }));
  };
  const send = async (visits: Visit[]) => {
    for (let next = waiting.next(); !next.done; next = waiting.next()) {
      const input = next.value;
      const from = now();
      const reason = await visit(gateway.url, input).catch(({ message }: Error) => message);
      if (reason !== undefined) fail({ input, reason });
      visits.push({ input, from, to: now() });
      const kind = `${input.surface}: ${input.kind}`;
      byKind[kind] = (byKind[kind] ?? 0) + 1;
      tried += 1;
      onProgress?.(tried);
      if (tried % BETWEEN_BEATS === 0) await beat(input);
      if (visits.length > BATCH - AT_ONCE || gateway.isEnding) return;
    }
  };

  for (let wasEmpty = false; !wasEmpty; ) {
    const before = await settled(gateway, sockets);
    const logged = gateway.errors.length;
    const visits: Visit[] = [];
    await Promise.all(times(AT_ONCE, () => send(visits)));
    wasEmpty = visits.length === 0;
    if (gateway.isEnding) {
      fail(...gateway.errors.slice(logged).map((line) => ({ input: visits.at(-1)?.input, reason: `the gateway ends: ${line}` })));
      break;
    }
    const after = await settled(gateway, sockets);
    if (after.sockets > sockets) fail({ input: undefined, reason: `${after.sockets - sockets} connections were not let go of` });
    longestTurnMs = Math.max(longestTurnMs, ...after.blocks.map(({ computedMs }) => computedMs));
    peakRssBytes = Math.max(peakRssBytes, after.peakRssBytes);
    const lines = gateway.errors.slice(logged);
    if (lines.length > 0) fail(...(await whoLogged(gateway, underWay(visits, 0, now()), lines)));
    fail(...(await blockers(gateway, visits, after.blocks, maxBlockMs)));
    fail(...(await hoarder(gateway, visits, { keptBytes: after.heldBytes - before.heldBytes, sockets })));
    await neighbour.lookForLate().catch(({ message }: Error) => fail({ input: undefined, reason: message }));
  }
  return { tried, byKind, failures, longestTurnMs, peakRssBytes };
}

function now(): number {
  return performance.timeOrigin + performance.now();
}
