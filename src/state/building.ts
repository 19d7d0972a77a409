/**
 * Makes builds of entities: from the first event that the log has retained. What began before then is taken from the build before, in the
 * form that the contract's `migrate` gives it; what began later is folded anew.
 */
import type { Folded } from '../contract/entities.ts';
import type { Pipeline } from '../delivery/pipeline.ts';
import type { StateBuild, StateRow } from '../log/state-store.ts';
import { type FoldTarget, rowOf, thingOf } from './changes.ts';
import { writeChanges } from './checkpoint.ts';
import { Folding, type FoldingOptions } from './folding.ts';

export interface BuildingOptions extends Pick<FoldingOptions, 'onProblem' | 'onDamaged' | 'maxCachedBytes' | 'maxPendingBytes'> {
  readonly pipeline: Pick<Pipeline, 'contract' | 'log' | 'tail' | 'reads' | 'own'>;
  readonly parts: readonly BuildPart[];
  /** Told of each state that cannot be brought to the present form, and why. */
  readonly onLost: (entity: string, problem: string) => void;
  /** How far it has come. */
  readonly onProgress: (seq: number) => void;
}

/** What is made of one entity. */
export interface BuildPart {
  readonly target: FoldTarget;
  /** How it was begun. */
  readonly build: StateBuild;
  /** The one before it, of whatever version. */
  readonly earlier: StateBuild | undefined;
}

/** Rows of the earlier build in one step. */
const ROWS = 500;
/** How often what was made is stored, in ms. */
const STORE_MS = 1000;

/** Resolves when they have come to the end of the log. @throws what the storage throws, or the signal's reason. */
export async function makeBuilds(options: BuildingOptions, signal: AbortSignal): Promise<void> {
  const { pipeline, parts, onProgress } = options;
  const { states } = pipeline.log;
  for (const part of parts) await takeOver(options, part, signal);
  const numbers = parts.map(({ build }) => build.number);
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  await using folding = new Folding({
    ...options,
    targets: parts.map(({ target }) => target),
    afterSeq: Math.min(...parts.map(({ build }) => build.seq)),
  });
  folding.start(failed.reject);
  for (;;) {
    const { seq } = pipeline.tail;
    const soon = AbortSignal.timeout(STORE_MS);
    const isThere = await Promise.race([
      folding.reached(seq, AbortSignal.any([signal, soon])).then(
        () => true,
        (error: unknown) => {
          if (soon.aborted && !signal.aborted) return false;
          throw error;
        },
      ),
      failed.promise,
    ]);
    folding.stored(await writeChanges(folding, states, numbers, pipeline.log.now.latest));
    onProgress(folding.seq);
    if (isThere) return states.complete(numbers);
  }
}

/** Takes over what began before the log does. */
async function takeOver({ pipeline, onLost }: BuildingOptions, { target, build, earlier }: BuildPart, signal: AbortSignal): Promise<void> {
  // One that goes on has taken over what there was, and folded onto that.
  if (earlier === undefined || build.seq > build.startSeq) return;
  const { contract, log } = pipeline;
  const { entity } = target;
  for (let afterSeq = 0; ; ) {
    signal.throwIfAborted();
    const { rows, endSeq, leadsOn, damaged } = await log.states.read({
      builds: [earlier.number],
      channels: contract.channels.everything,
      afterSeq,
      conditions: ['open', 'closed'],
      limit: ROWS,
      // Nobody else has what was changed last: its writer may have ended before it had stored all.
      isAhead: true,
    });
    for (const _ of damaged) onLost(entity.name, 'it is not what was stored; what the log has of it is folded anew');
    const taken = rows.flatMap((row): StateRow[] => {
      if (row.sinceSeq > build.startSeq) return [];
      const state: object = JSON.parse(row.body).state;
      const made: Folded = earlier.version === entity.version ? { state } : entity.migrate(earlier.version, state);
      if (made.problem !== undefined) onLost(entity.name, made.problem);
      if (made.state === undefined) return [];
      const thing = thingOf(target, row, { row, forgottenSeq: 0 });
      return [rowOf({ ...thing, state: made.state, isOpen: entity.isOpen(made.state), body: undefined })];
    });
    if (taken.length > 0) {
      const writtenSeq = Math.max(...taken.map(({ seq }) => seq));
      await log.states.write({ rows: taken, builds: [build.number], writtenSeq, nowMs: log.now.latest });
    }
    if (!leadsOn) return;
    afterSeq = endSeq;
  }
}
