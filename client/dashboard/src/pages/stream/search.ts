/** What a stream shows, as it stands in the address: a link shows others the same. */
import { EVENT_TYPES, type EventType } from '@lumiere/courier-client';

export interface StreamSearch {
  /** Channels and patterns, separated by commas; everything when absent. */
  readonly channels?: string;
  readonly types?: readonly EventType[];
  readonly source?: string;
  readonly user?: string;
  readonly correlation?: string;
  /** Begin after this position, instead of with what came last. */
  readonly after?: string;
}

/** Takes what it knows of what stands in the address. */
export function streamSearch(search: Record<string, unknown>): StreamSearch {
  const listed = Array.isArray(search['types']) ? search['types'] : [];
  const types = EVENT_TYPES.filter((type) => listed.includes(type));
  return {
    ...textOf(search, 'channels'),
    ...(types.length > 0 && { types }),
    ...textOf(search, 'source'),
    ...textOf(search, 'user'),
    ...textOf(search, 'correlation'),
    ...textOf(search, 'after'),
  };
}

/** An id that is a number is a number in the address. */
function textOf<K extends keyof StreamSearch>(search: Record<string, unknown>, key: K): { readonly [P in K]?: string } {
  const value = search[key];
  if (typeof value !== 'string' && typeof value !== 'number') return {};
  return value === '' ? {} : ({ [key]: String(value) } as { readonly [P in K]?: string });
}

/** The channels and patterns of a list, without what is around them. */
export function channelsOf(list: string | undefined): string[] {
  const channels = (list ?? '').split(/[\s,]+/).filter((channel) => channel !== '');
  return channels.length === 0 ? ['**'] : channels;
}
