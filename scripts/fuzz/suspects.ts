/**
 * Which input it was. Many are on their way at once, so that what went wrong beside them is first a suspicion against
 * several; each is then sent alone, when nothing else is sent, and only what it does again is held against it.
 */
import type { FuzzedGateway } from './gateway.ts';
import { type Input, sizeOf } from './inputs.ts';
import { times } from './random.ts';
import { visit } from './visit.ts';
import type { Report } from './watch.ts';

/** An input that was sent, and when: in ms since 1970. */
export interface Visit {
  readonly input: Input;
  readonly from: number;
  readonly to: number;
}

export interface Failure {
  /** Absent when no input alone does it again. */
  readonly input: Input | undefined;
  readonly reason: string;
}

const REPEATS = 3;
const SENDINGS = 20;
/** An input may leave behind ten times what it sent: an event stands in memory with all that finds it again. */
const MAX_KEPT_PER_BYTE = 10;
/** Less than this is noise of the heap. */
const NOISE_BYTES = 1e6;
/** Loops and logged errors of one batch that are looked into, at most. */
const MAX_LOOKED_INTO = 20;
/** How long connections may take to be let go of, in ms, and how often that is looked at. */
const SETTLING_MS = 8000;
const LOOK_MS = 50;

/** Resolves to a report when no more than `sockets` connections are left; to the last one when that takes too long. */
export async function settled(gateway: FuzzedGateway, sockets: number): Promise<Report> {
  const deadline = performance.now() + SETTLING_MS;
  const reports = [await gateway.report('memory')];
  while ((reports.at(-1) as Report).sockets > sockets && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    reports.push(await gateway.report('memory'));
  }
  return { ...(reports.at(-1) as Report), blocks: reports.flatMap(({ blocks }) => blocks) };
}

/** Those that were under way then, the largest first. */
export function underWay(visits: readonly Visit[], from: number, to: number): readonly Input[] {
  const inputs = visits.filter((visit) => visit.from <= to && visit.to >= from).map(({ input }) => input);
  return inputs.sort((one, other) => sizeOf(other) - sizeOf(one));
}

/** The inputs that alone keep the event loop from its next turn for more than `maxBlockMs` of computing, each time. */
export async function blockers(
  gateway: FuzzedGateway,
  visits: readonly Visit[],
  blocks: Report['blocks'],
  maxBlockMs: number,
): Promise<readonly Failure[]> {
  const worst = blocks.filter(({ computedMs }) => computedMs > maxBlockMs).sort((one, other) => other.computedMs - one.computedMs);
  const suspects = new Set(worst.slice(0, MAX_LOOKED_INTO).flatMap(({ from, to }) => underWay(visits, from, to)));
  const failures: Failure[] = [];
  for (const input of suspects) {
    const blockedMs = await leastBlock(gateway, input, maxBlockMs);
    if (blockedMs > maxBlockMs) failures.push({ input, reason: `kept the event loop for ${Math.round(blockedMs)} ms` });
  }
  return failures;
}

/** The longest turn of the event loop when the input is sent alone: the least of several times, or the first that is short enough. */
async function leastBlock(gateway: FuzzedGateway, input: Input, enoughMs: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let repeat = 0; repeat < REPEATS && least > enoughMs; repeat += 1) {
    await gateway.report('turns');
    await visit(gateway.url, input);
    const { blocks } = await gateway.report('turns');
    least = Math.min(least, Math.max(0, ...blocks.map(({ computedMs }) => computedMs)));
  }
  return least;
}

/** Whose doing the lines are that were logged as errors while `inputs` were under way. */
export async function whoLogged(gateway: FuzzedGateway, inputs: readonly Input[], lines: readonly string[]): Promise<readonly Failure[]> {
  for (const input of inputs.slice(0, MAX_LOOKED_INTO * MAX_LOOKED_INTO)) {
    const before = gateway.errors.length;
    await visit(gateway.url, input);
    await gateway.report('turns');
    if (gateway.errors.length > before) return [{ input, reason: `logged: ${gateway.errors.at(-1)}` }];
  }
  return lines.slice(0, MAX_LOOKED_INTO).map((line) => ({ input: undefined, reason: `logged: ${line}` }));
}

/** The input that keeps memory, if what its batch has kept is more than it should be, and one alone does it again. */
export async function hoarder(
  gateway: FuzzedGateway,
  visits: readonly Visit[],
  { keptBytes, sockets }: { readonly keptBytes: number; readonly sockets: number },
): Promise<readonly Failure[]> {
  const inputs = visits.map(({ input }) => input);
  if (keptBytes < NOISE_BYTES + bytesOf(inputs)) return [];
  const keptBy = async (some: readonly Input[]) => {
    const before = await settled(gateway, sockets);
    for (const input of some) await visit(gateway.url, input);
    return (await settled(gateway, sockets)).heldBytes - before.heldBytes;
  };
  let suspects: readonly Input[] = inputs;
  while (suspects.length > 1) {
    const half = suspects.slice(0, suspects.length / 2);
    const other = suspects.slice(suspects.length / 2);
    suspects = (await keptBy(half)) > (await keptBy(other)) ? half : other;
  }
  const [input] = suspects as [Input];
  // The first time fills what is bounded: caches, and the code that is compiled.
  const sendings = times(SENDINGS, () => input);
  const kept = Math.min(await keptBy(sendings), await keptBy(sendings));
  const each = kept / SENDINGS;
  if (kept < NOISE_BYTES || each < MAX_KEPT_PER_BYTE * sizeOf(input)) return [];
  return [{ input, reason: `keeps ${Math.round(each)} bytes, and has ${sizeOf(input)}` }];
}

function bytesOf(inputs: readonly Input[]): number {
  return inputs.reduce((sum, input) => sum + sizeOf(input), 0);
}
