/**
 * Channels: the families, the grammar of channel names, and patterns over them. Clients import this file, so it imports nothing.
 *
 * The name of a channel ends in one id, so a pattern always equals some whole families plus some single channels.
 * `channelSetOf` computes this set once, when a subscription starts. From then on the hub, the log and the check of rights
 * look channels up in the set, however many patterns there are.
 */

/** The channel families, by name. A channel is the family's name and an id: `forge.job.42`; `global` has no id. */
export const CHANNEL_FAMILIES = ['global', 'user', 'strategy', 'backtest', 'forge.job'] as const;
export type ChannelFamily = (typeof CHANNEL_FAMILIES)[number];

/** The names of the channels of a family. */
export type ChannelIn<F extends ChannelFamily> = F extends 'global' ? 'global' : `${F}.${string}`;
/** Any channel's name. */
export type Channel = ChannelIn<ChannelFamily>;

/** Characters in a channel's name, at most. */
export const MAX_CHANNEL_LENGTH = 255;
/** A segment of a name, between its dots, and an id: 1 to 64 of `A-Z a-z 0-9 _ -`. */
export const SEGMENT = /^[A-Za-z0-9_-]{1,64}$/;

/** The family that `channel` belongs to; undefined when `channel` is not the name of a channel. */
export function familyOf(channel: string): ChannelFamily | undefined {
  if (channel === 'global') return 'global';
  const lastDot = channel.lastIndexOf('.');
  if (lastDot < 0 || channel.length > MAX_CHANNEL_LENGTH || !SEGMENT.test(channel.slice(lastDot + 1))) return undefined;
  const family = channel.slice(0, lastDot);
  return family !== 'global' && isFamily(family) ? family : undefined;
}

function isFamily(name: string): name is ChannelFamily {
  return (CHANNEL_FAMILIES as readonly string[]).includes(name);
}

/** The form of the names of a family's channels, for messages: `backtest.{id}`. */
export function familyForm(family: ChannelFamily): string {
  return family === 'global' ? 'global' : `${family}.{id}`;
}

/** The pattern that selects all channels of a family: `backtest.*`. */
export function familyPattern(family: ChannelFamily): string {
  return family === 'global' ? 'global' : `${family}.*`;
}

/**
 * A set of channels: whole families and, outside those, single channels. A subscription, a read of the log and a grant in a
 * token all select such a set. Normal form: no single channel belongs to a family of the set.
 */
export interface ChannelSet {
  readonly families: ReadonlySet<ChannelFamily>;
  readonly singles: ReadonlySet<string>;
}

/** All channels. */
export const EVERYTHING: ChannelSet = { families: new Set(CHANNEL_FAMILIES), singles: new Set() };

/**
 * The channels that a list of names and patterns selects. In a pattern `*` matches one segment, and `**` matches one or more.
 *
 * @throws {RangeError} naming the first entry that is malformed or that no channel can match.
 */
export function channelSetOf(patterns: readonly string[]): ChannelSet {
  const families = new Set<ChannelFamily>();
  const singles = new Set<string>();
  for (const pattern of patterns) {
    const problem = addPattern(pattern, families, singles);
    if (problem !== undefined) throw new RangeError(problem);
  }
  for (const channel of singles) {
    const family = familyOf(channel);
    if (family !== undefined && families.has(family)) singles.delete(channel);
  }
  return { families, singles };
}

function addPattern(pattern: string, families: Set<ChannelFamily>, singles: Set<string>): string | undefined {
  if (familyOf(pattern) !== undefined) {
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
  for (const family of CHANNEL_FAMILIES) {
    if (family === 'global') {
      if (!matchesSegments(segments, ['global'])) continue;
      singles.add('global');
    } else if (matchesSegments(segments, [...family.split('.'), ANY_ID])) {
      if (last === '*' || last === '**') families.add(family);
      else singles.add(`${family}.${last}`);
    } else continue;
    matched = true;
  }
  return matched ? undefined : `${shown} can match no channel; channels are ${CHANNEL_FAMILIES.map(familyForm).join(', ')}`;
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

/** Whether `channel`, which belongs to `family`, is in the set. */
export function includesChannel(set: ChannelSet, family: ChannelFamily, channel: string): boolean {
  return set.families.has(family) || set.singles.has(channel);
}

/** Whether `outer` includes every channel of `inner`. */
export function includesAll(outer: ChannelSet, inner: ChannelSet): boolean {
  for (const family of inner.families) if (!outer.families.has(family)) return false;
  for (const channel of inner.singles) {
    const family = familyOf(channel);
    if (family === undefined || !includesChannel(outer, family, channel)) return false;
  }
  return true;
}

type Split<S extends string> = S extends `${infer Head}.${infer Rest}` ? [Head, ...Split<Rest>] : [S];
type AnyId = { readonly id: unique symbol };
type ShapeOf<F extends ChannelFamily> = F extends 'global' ? ['global'] : [...Split<F>, AnyId];
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

/** The families of the channels that `P`, a name or a pattern, can match. The type `string` can match all families. */
export type FamilyMatching<P extends string> = P extends string
  ? string extends P
    ? ChannelFamily
    : { [F in ChannelFamily]: MatchesShape<Split<P>, ShapeOf<F>> extends true ? F : never }[ChannelFamily]
  : never;
