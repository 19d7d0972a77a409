/** The filter of a stream in the address, so that a link shows the same stream. */

export interface StreamSearch {
  /** Channels and patterns, separated by commas; everything when absent. */
  readonly channels?: string;
  /** They may be none of the contract's: a link may be older than the contract. */
  readonly types?: readonly string[];
  readonly source?: string;
  readonly user?: string;
  readonly correlation?: string;
  /** A position: start after this event, instead of with the latest events. */
  readonly after?: string;
}

/** Reads the known parameters of the address. */
export function streamSearch(search: Record<string, unknown>): StreamSearch {
  const listed = [search['types']].flat().filter((type): type is string => typeof type === 'string' && type !== '');
  const types = [...new Set(listed)];
  return {
    ...textOf(search, 'channels'),
    ...(types.length > 0 && { types }),
    ...textOf(search, 'source'),
    ...textOf(search, 'user'),
    ...textOf(search, 'correlation'),
    ...textOf(search, 'after'),
  };
}

/** The router reads an id of digits as a number. */
function textOf<K extends keyof StreamSearch>(search: Record<string, unknown>, key: K): { readonly [P in K]?: string } {
  const value = search[key];
  if (typeof value !== 'string' && typeof value !== 'number') return {};
  return value === '' ? {} : ({ [key]: String(value) } as { readonly [P in K]?: string });
}

/** The channels and patterns of a comma list, without white space. */
export function channelsOf(list: string | undefined): string[] {
  const channels = (list ?? '').split(/[\s,]+/).filter((channel) => channel !== '');
  return channels.length === 0 ? ['**'] : channels;
}
