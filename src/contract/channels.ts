/**
 * Channels: the grammar of their names, the families that a contract has, and patterns over them. Clients import this file, so it
 * imports nothing.
 *
 * The name of a channel ends in one id, so a pattern always equals some whole families plus some single channels.
 * `Channels.setOf` computes this set once, when a subscription starts. From then on the hub, the log and the check of rights
 * look channels up in the set, however many patterns there are.
 */

/** The families that every contract has: one channel for everybody, and a channel for each user. */
export const COMMON_FAMILIES = ['global', 'user'] as const;
export type CommonFamily = (typeof COMMON_FAMILIES)[number];
/** The field that is the id of `user`. */
export const USER_ID = 'user_id';

/**
 * The names of the channels of a family: the family's name and an id, such as `user.ada`. `global` has no id. Of families that the
 * compiler does not know, any name.
 */
export type ChannelIn<F extends string> = string extends F ? string : F extends 'global' ? 'global' : `${F}.${string}`;

/** Characters in a channel's name, at most. */
export const MAX_CHANNEL_LENGTH = 255;
/** A segment of a name, between its dots, and an id: 1 to 64 of `A-Z a-z 0-9 _ -`. */
export const SEGMENT = /^[A-Za-z0-9_-]{1,64}$/;

/** The name of the family that a channel's name says, whether or not a contract has the family; undefined when it says none. */
export function familyIn(channel: string): string | undefined {
  if (channel === 'global') return 'global';
  const lastDot = channel.lastIndexOf('.');
  return lastDot < 0 ? undefined : channel.slice(0, lastDot);
}

/** The id in a channel's name: what follows its family. */
export function idIn(channel: string): string {
  return channel.slice(channel.lastIndexOf('.') + 1);
}

/** The form of the names of a family's channels, for messages: `user.{id}`. */
export function familyForm(family: string): string {
  return family === 'global' ? 'global' : `${family}.{id}`;
}

/** The pattern that selects all channels of a family: `user.*`. */
export function familyPattern(family: string): string {
  return family === 'global' ? 'global' : `${family}.*`;
}

/**
 * A set of channels: whole families and, outside those, single channels. A subscription, a read of the log and a grant in a
 * token all select such a set. Normal form: no single channel belongs to a family of the set.
 */
export interface ChannelSet {
  /**
   * Whether `**` selects it. Then it has all families of the contract, and channels of families that another contract has: that of
   * another instance, or of events that were stored before.
   */
  readonly everything: boolean;
  readonly families: ReadonlySet<string>;
  readonly singles: ReadonlySet<string>;
}

/** The channels that a contract's families make. */
export class Channels {
  /** The names of the families, `global` and `user` first. */
  readonly families: readonly string[];
  /** All channels. */
  readonly everything: ChannelSet;
  /** Those whose channels have an id, each by itself: texts that are the same object are compared the fastest. */
  readonly #ofIds: ReadonlyMap<string, string>;

  constructor(families: readonly string[]) {
    this.families = families;
    this.#ofIds = new Map(families.filter((family) => family !== 'global').map((family) => [family, family]));
    this.everything = { everything: true, families: new Set(families), singles: new Set() };
  }

  /** The family that `channel` belongs to; undefined when `channel` is not the name of a channel. */
  familyOf(channel: string): string | undefined {
    if (channel === 'global') return 'global';
    const lastDot = channel.lastIndexOf('.');
    if (lastDot < 0 || channel.length > MAX_CHANNEL_LENGTH || !SEGMENT.test(channel.slice(lastDot + 1))) return undefined;
    return this.#ofIds.get(channel.slice(0, lastDot));
  }

  /** The forms of all names, for messages. */
  get forms(): string {
    return this.families.map(familyForm).join(', ');
  }

  /**
   * The channels that a list of names and patterns selects. In a pattern `*` matches one segment, and `**` matches one or more.
   *
   * @throws {RangeError} naming the first entry that is malformed or that no channel can match.
   */
  setOf(patterns: readonly string[]): ChannelSet {
    const families = new Set<string>();
    const singles = new Set<string>();
    for (const pattern of patterns) {
      const problem = this.#add(pattern, families, singles);
      if (problem !== undefined) throw new RangeError(problem);
    }
    for (const channel of singles) {
      const family = this.familyOf(channel);
      if (family !== undefined && families.has(family)) singles.delete(channel);
    }
    return patterns.includes('**') ? this.everything : { everything: false, families, singles };
  }

  #add(pattern: string, families: Set<string>, singles: Set<string>): string | undefined {
    if (this.familyOf(pattern) !== undefined) {
      singles.add(pattern);
      return undefined;
    }
    const shown = JSON.stringify(pattern.slice(0, MAX_CHANNEL_LENGTH));
    // A pattern that is too long is not split.
    const segments = pattern.length > MAX_CHANNEL_LENGTH ? [] : pattern.split('.');
    const wellFormed = segments.length > 0 && segments.every((segment) => segment === '*' || segment === '**' || SEGMENT.test(segment));
    if (!wellFormed) {
      return `${shown} is neither a channel nor a pattern: segments are separated by dots and are *, ** or 1 to 64 of A-Z a-z 0-9 _ -`;
    }
    let matched = false;
    const last = segments[segments.length - 1] as string;
    for (const family of this.families) {
      if (family === 'global') {
        if (!matchesSegments(segments, ['global'])) continue;
        singles.add('global');
      } else if (matchesSegments(segments, [...family.split('.'), ANY_ID])) {
        if (last === '*' || last === '**') families.add(family);
        else singles.add(`${family}.${last}`);
      } else continue;
      matched = true;
    }
    return matched ? undefined : `${shown} can match no channel; channels are ${this.forms}`;
  }
}

/** Any id: every segment of a pattern matches it. It is itself no legal segment. */
const ANY_ID = '{id}';

function matchesSegments(pattern: readonly string[], name: readonly string[]): boolean {
  const [head, ...rest] = pattern;
  if (head === undefined) return name.length === 0;
  if (name.length === 0) return false;
  if (head === '**') return matchesSegments(rest, name.slice(1)) || matchesSegments(pattern, name.slice(1));
  return (head === '*' || head === name[0] || name[0] === ANY_ID) && matchesSegments(rest, name.slice(1));
}

/** Whether `channel`, which belongs to `family`, is in the set. The contract need not have the family. */
export function includesChannel(set: ChannelSet, family: string, channel: string): boolean {
  return set.everything || set.families.has(family) || set.singles.has(channel);
}

/** Whether `outer` includes every channel of `inner`. */
export function includesAll(outer: ChannelSet, inner: ChannelSet): boolean {
  if (inner.everything && !outer.everything) return false;
  // `global` is a family of one channel.
  for (const family of inner.families) if (!outer.families.has(family) && !outer.singles.has(family)) return false;
  for (const channel of inner.singles) {
    const family = familyIn(channel);
    if (family === undefined || !includesChannel(outer, family, channel)) return false;
  }
  return true;
}

type Split<S extends string> = S extends `${infer Head}.${infer Rest}` ? [Head, ...Split<Rest>] : [S];
type AnyId = { readonly id: unique symbol };
type ShapeOf<F extends string> = F extends 'global' ? ['global'] : [...Split<F>, AnyId];
type SegmentMatches<P, S> = P extends '*' ? true : S extends AnyId ? true : P extends S ? true : false;
type MatchesShape<P extends readonly unknown[], S extends readonly unknown[]> = P extends readonly [infer PH, ...infer PR]
  ? S extends readonly [infer SH, ...infer SR]
    ? PH extends '**'
      ? true extends MatchesShape<PR, SR> | MatchesShape<P, SR>
        ? true
        : false
      : SegmentMatches<PH, SH> extends true
        ? MatchesShape<PR, SR>
        : false
    : false
  : S extends readonly []
    ? true
    : false;

/** The ones of `F`, names of families, whose channels `P`, a name or a pattern, can match. The type `string` can match all families. */
export type FamilyMatching<P extends string, F extends string> = P extends string
  ? string extends P | F
    ? F
    : { [K in F]: MatchesShape<Split<P>, ShapeOf<K>> extends true ? K : never }[F]
  : never;
