/** Inputs for the fuzzer: each follows from its seed alone, so that whatever broke something can be made again. */
import { HTTP_KINDS, SSE_KINDS } from './http-inputs.ts';
import { pickWeighted, randomFrom } from './random.ts';
import type { Step } from './steps.ts';
import { PLAIN_KINDS, TRPC_KINDS } from './web-socket-inputs.ts';

/** How often each surface is tried, and with what. */
const SURFACES = [
  { weight: 60, surface: 'trpc-websocket', kinds: TRPC_KINDS },
  { weight: 12, surface: 'plain-websocket', kinds: PLAIN_KINDS },
  { weight: 20, surface: 'http', kinds: HTTP_KINDS },
  { weight: 8, surface: 'sse', kinds: SSE_KINDS },
] as const;

export type Surface = (typeof SURFACES)[number]['surface'];

export interface Input {
  readonly surface: Surface;
  /** What kind of input it is, for the report. */
  readonly kind: string;
  /** What is done over one TCP connection. */
  readonly steps: readonly Step[];
}

/** The input that belongs to `seed`. */
export function inputFrom(seed: number): Input {
  const random = randomFrom(seed);
  const { surface, kinds } = pickWeighted(random, SURFACES);
  const { kind, make } = pickWeighted(random, kinds);
  return { surface, kind, steps: make(random) };
}

/** Bytes that an input sends. */
export function sizeOf({ steps }: Input): number {
  return steps.reduce((sum, step) => sum + ('write' in step ? step.write.length : 0), 0);
}

/** As it stands in `test/fuzz/regressions.json`: what is written as base64. */
export interface StoredInput extends Omit<Input, 'steps'> {
  readonly steps: readonly (Exclude<Step, { write: Buffer }> | { readonly write: string })[];
}

export function stored({ surface, kind, steps }: Input): StoredInput {
  return { surface, kind, steps: steps.map((step) => ('write' in step ? { write: step.write.toString('base64') } : step)) };
}

export function restored({ surface, kind, steps }: StoredInput): Input {
  return { surface, kind, steps: steps.map((step) => ('write' in step ? { write: Buffer.from(step.write, 'base64') } : step)) };
}
