/** What an input does, step by step: the least that every surface has in common is a TCP connection. */
import { handshake, textFrame } from './frames.ts';
import type { Random } from './random.ts';
import { GOOD_PLACE } from './tokens.ts';

export type Step =
  /** Writes bytes, in which places for tokens are filled in. */
  | { readonly write: Buffer }
  /** Waits until something has come since the last step, or the gateway has ended its side: for a while. */
  | { readonly until: 'answered' | 'ended' }
  | { readonly pauseMs: number }
  /** Stops reading, or goes on. */
  | { readonly reads: boolean };

/** A kind of input, and how often it is tried among those of its surface. */
export interface Kind {
  readonly weight: number;
  readonly kind: string;
  readonly make: (random: Random) => readonly Step[];
}

export const write = (...bytes: readonly (Buffer | string)[]): Step => ({ write: Buffer.concat(bytes.map((part) => Buffer.from(part))) });
export const ANSWERED: Step = { until: 'answered' };
export const ENDED: Step = { until: 'ended' };

/** Opens tRPC over WebSocket, and promises connection parameters. */
export const TRPC_OPENING = handshake('/trpc?connectionParams=1');

export function paramsFrame(token: string): Buffer {
  return textFrame(JSON.stringify({ method: 'connectionParams', data: { token } }));
}

/** In one packet: opens tRPC over WebSocket and signs in. */
export const SIGNED_IN = Buffer.concat([TRPC_OPENING, paramsFrame(GOOD_PLACE)]);
