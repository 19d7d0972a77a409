/** A TCP proxy that breaks: it falls silent, refuses, or tampers with what the server sends. */
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';

/** What becomes of a chunk that the server sent: the bytes to pass on. One for each connection. */
export type Tamper = (chunk: Buffer) => readonly Buffer[];

export interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** Connects to another port from now on; connections that are open stay as they are. */
  aim(target: number): void;
  /** Passes nothing on in either direction, and closes nothing: as if the cable were cut. */
  cut(): void;
  /** Passes on again. Connections that were cut stay so; new ones work. */
  heal(): void;
  /** Keeps what clients send back from the first chunk on that has `text` in it. */
  hold(text: string): Held;
}

export interface Held {
  /** Resolves when something is kept back. */
  readonly heard: Promise<void>;
  /** Passes on what was kept back. */
  release(): void;
}

export async function startProxy(target: number, tamper?: () => Tamper): Promise<Proxy> {
  const sockets = new Set<Socket>();
  let port = target;
  let isCut = false;
  let holding: { readonly text: string; readonly kept: (() => void)[]; readonly onKept: () => void } | undefined;
  /** Whether a chunk is kept back until `pass` is called. */
  const keeps = (chunk: Buffer, pass: () => void): boolean => {
    if (holding === undefined || (holding.kept.length === 0 && !chunk.includes(holding.text))) return false;
    holding.kept.push(pass);
    holding.onKept();
    return true;
  };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = dial({ port, host: '127.0.0.1', allowHalfOpen: true });
    const change = tamper?.() ?? ((chunk: Buffer) => [chunk]);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on('error', () => undefined);
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      // That one side has ended is not heard either over a cable that is cut.
      from.on('end', () => {
        if (!isCut) to.end();
      });
      from.on('data', (chunk: Buffer) => {
        if (isCut) return;
        if (from === client && keeps(chunk, () => to.write(chunk))) return;
        for (const part of from === upstream ? change(chunk) : [chunk]) to.write(part);
      });
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    aim: (other) => {
      port = other;
    },
    cut: () => {
      isCut = true;
    },
    heal: () => {
      isCut = false;
      for (const socket of sockets) socket.destroy();
    },
    hold: (text) => {
      const { promise: heard, resolve: onKept } = Promise.withResolvers<void>();
      const kept: (() => void)[] = [];
      holding = { text, kept, onKept };
      return {
        heard,
        release: () => {
          holding = undefined;
          for (const pass of kept) pass();
        },
      };
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Drops, repeats and delays messages that Redis pushes to those who have subscribed; everything else passes. */
export function unreliablePushes(share: number, chance: () => number) {
  const faults = { passed: 0, dropped: 0, repeated: 0, delayed: 0 };
  const tamper = (): Tamper => {
    let rest: Buffer = Buffer.alloc(0);
    const late: Buffer[] = [];
    return (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      const out: Buffer[] = [];
      for (let end = endOfReply(rest, 0); end !== undefined; end = endOfReply(rest, 0)) {
        const reply = rest.subarray(0, end);
        rest = rest.subarray(end);
        if (!/^>3\r\n\$7\r\nmessage\r\n/.test(reply.subarray(0, 20).toString('latin1'))) {
          out.push(reply);
          continue;
        }
        const fate = chance();
        if (fate < share) faults.dropped += 1;
        else if (fate < 2 * share) {
          faults.delayed += 1;
          late.push(reply);
          continue;
        } else if (fate < 3 * share) {
          faults.repeated += 1;
          out.push(reply, reply);
        } else {
          faults.passed += 1;
          out.push(reply);
        }
        // What was held back comes after what came after it.
        if (late.length > 0 && chance() < 0.5) out.push(...late.splice(0));
      }
      return out;
    };
  };
  return { faults, tamper };
}

/** Where the reply that begins at `start` ends (RESP3); undefined when it is not all there. */
function endOfReply(bytes: Buffer, start: number): number | undefined {
  const lineEnd = bytes.indexOf('\r\n', start);
  if (lineEnd < 0) return undefined;
  const kind = String.fromCharCode(bytes[start] ?? 0);
  const length = Number(bytes.subarray(start + 1, lineEnd).toString('latin1'));
  if ('$=!'.includes(kind)) {
    const end = length < 0 ? lineEnd + 2 : lineEnd + 2 + length + 2;
    return end <= bytes.length ? end : undefined;
  }
  if (!'*~>%'.includes(kind)) return lineEnd + 2;
  let end: number | undefined = lineEnd + 2;
  for (let item = 0; item < length * (kind === '%' ? 2 : 1); item += 1) {
    end = endOfReply(bytes, end);
    if (end === undefined) return undefined;
  }
  return end;
}
