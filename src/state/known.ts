/** What is known of the builds of a contract's entities. */
import type { Contract } from '../contract/contract.ts';
import type { StateBuild } from '../log/state-store.ts';

export interface Known {
  /** What serves the entity; undefined until one is complete. */
  readonly current: StateBuild | undefined;
  /** What is being made for it. */
  readonly next: StateBuild | undefined;
  /** What was complete before that, of whatever version. */
  readonly earlier: StateBuild | undefined;
}

/** By entity. @param builds of these entities, of all versions. */
export function knownOf({ entities }: Contract, builds: readonly StateBuild[]): Map<string, Known> {
  const known = [...entities.values()].map(({ name, version }) => {
    const own = builds.filter((build) => build.entity === name);
    const ofVersion = own.filter((build) => build.version === version);
    const current = ofVersion.findLast((build) => build.isComplete);
    const next = ofVersion.findLast((build) => !build.isComplete);
    const earlier = own.findLast((build) => build.isComplete && build.number !== next?.number);
    return [name, { current, next, earlier }] as const;
  });
  return new Map(known);
}

/** By entity that is being made: how much of the log that is so far, 0 to 1. @param builtSeq where it is here. @param endSeq of the log. */
export function sharesBuilt(known: ReadonlyMap<string, Known>, builtSeq: number, endSeq: number): Record<string, number> {
  const shares = [...known].flatMap(([entity, { next }]): [string, number][] => {
    if (next === undefined) return [];
    const { startSeq } = next;
    const doneSeq = Math.max(builtSeq, next.seq);
    return [[entity, endSeq <= startSeq ? 1 : Math.min(1, Math.max(0, (doneSeq - startSeq) / (endSeq - startSeq)))]];
  });
  return Object.fromEntries(shares);
}
