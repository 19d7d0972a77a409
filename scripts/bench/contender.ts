/**
 * What every contender's process does: it starts the contender, publishes when it is told to over a control socket, and
 * tells what that cost.
 */
import { createServer } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { timeMark } from './raw-socket.ts';

/** An event as Courier has it, which the others send as it is. */
export interface BenchEvent {
  readonly type: 'forge.job.completed';
  readonly channel: string;
  readonly metadata: { readonly timestamp: Date; readonly source: string };
  readonly data: { readonly job_id: string; readonly result: { readonly text: string } };
}

export interface Contender {
  readonly port: number;
  /** Publishes, all in this turn of the event loop. */
  publish(events: readonly BenchEvent[]): void;
}

/** Asked of a contender's process, and answered in this order. */
export type Question = 'usage' | 'memory' | 'watch-delay' | 'delay';
export type Answer =
  | { readonly kind: 'ready'; readonly port: number; readonly controlPort: number }
  /** CPU time so far, user and system, in µs. */
  | { readonly kind: 'usage'; readonly cpuMicros: number }
  /** After a collection of garbage. */
  | { readonly kind: 'memory'; readonly rssBytes: number }
  /** Delay of the event loop since it was last asked, in ms. */
  | { readonly kind: 'delay'; readonly p99Ms: number; readonly maxMs: number };

/** Bytes of an event's JSON without its text. */
const ENVELOPE_BYTES = 190;

/** A line on the control socket: publish so many events of so many bytes, one after another to the channels in turn. */
export interface Turn {
  readonly perTurn: number;
  readonly bytes: number;
  readonly channels: readonly string[];
}

export async function serveContender(start: () => Promise<Contender>): Promise<void> {
  const { publish, port } = await start();
  let padding = '';
  const event = (channel: string, bytes: number): BenchEvent => {
    if (padding.length !== bytes) padding = 'x'.repeat(bytes);
    const text = timeMark() + padding.slice(0, Math.max(0, bytes - ENVELOPE_BYTES));
    return {
      type: 'forge.job.completed',
      channel,
      metadata: { timestamp: new Date(), source: 'forge' },
      data: { job_id: channel.slice('forge.job.'.length), result: { text } },
    };
  };
  const turns: Turn[] = [];
  // One at a time, however many arrive together: else a contender that gathers writes would gather those of many turns.
  const takeTurn = () => {
    const turn = turns[0] as Turn;
    const { perTurn, bytes, channels } = turn;
    publish(Array.from({ length: perTurn }, (_, index) => event(channels[index % channels.length] as string, bytes)));
    turns.shift();
    if (turns.length > 0) setImmediate(takeTurn);
  };
  const control = createServer((socket) => {
    createInterface({ input: socket }).on('line', (line) => {
      turns.push(JSON.parse(line) as Turn);
      if (turns.length === 1) setImmediate(takeTurn);
    });
    socket.on('error', () => undefined);
  });
  control.listen(0, '127.0.0.1', () => {
    const address = control.address();
    tell({ kind: 'ready', port, controlPort: typeof address === 'object' && address !== null ? address.port : 0 });
  });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  process.on('message', (question: Question) => {
    if (question === 'usage') {
      const { user, system } = process.cpuUsage();
      tell({ kind: 'usage', cpuMicros: user + system });
    } else if (question === 'memory') {
      globalThis.gc?.();
      globalThis.gc?.();
      tell({ kind: 'memory', rssBytes: process.memoryUsage.rss() });
    } else if (question === 'watch-delay') {
      delay.reset();
      delay.enable();
      tell({ kind: 'delay', p99Ms: 0, maxMs: 0 });
    } else {
      delay.disable();
      tell({ kind: 'delay', p99Ms: delay.percentile(99) / 1e6, maxMs: delay.max / 1e6 });
    }
  });
  process.on('disconnect', () => process.exit(0));
}

function tell(answer: Answer): void {
  process.send?.(answer);
}
