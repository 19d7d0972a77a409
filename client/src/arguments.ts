/** Checks the addresses and data of callers, before the client sends anything. */
import { findFault, isNoJson, MAX_DATA_BYTES } from '../../src/contract/json.ts';
import { CourierError, invalidArgument, messageOf } from './errors.ts';
import type { EventDraft } from './events.ts';

/** The address of the tRPC endpoint below the gateway's. No refusal tells the address, as it may have a password or a token in it. */
export function endpointOf(url: string): string {
  const parsed = parseUrl(url);
  const problem = problemOf(parsed, url);
  if (problem !== undefined) throw invalidArgument('url', problem);
  parsed.protocol = parsed.protocol.replace('http', 'ws');
  parsed.pathname = `${parsed.pathname.replace(/\/+$/, '')}/trpc`;
  return parsed.href;
}

function parseUrl(url: string): URL {
  const base = (globalThis as { readonly location?: { readonly href: string } }).location?.href;
  try {
    if (typeof url === 'string' && url !== '') return new URL(url, base);
  } catch {
    // The error below says as much.
  }
  throw invalidArgument('url', 'must be an address such as http://127.0.0.1:8766');
}

function problemOf({ protocol, username, password, search, hash }: URL, url: string): string | undefined {
  if (!/^(https?|wss?):$/.test(protocol)) return 'must begin with http://, https://, ws:// or wss://';
  if (/\s/.test(url)) return 'must not have white space in it';
  if (username !== '' || password !== '') return 'must not name a user: the token says who the client is';
  if (search !== '' || hash !== '') return 'must not have a query or a fragment';
  return undefined;
}

/**
 * Refuses data that the gateway would refuse, or close the connection for. It looks for faults before it writes JSON, which would
 * refuse a bigint without its path.
 *
 * @returns the data as JSON.
 */
export function jsonOf(data: unknown): string {
  const fault = findFault(data);
  // The error for data that is too large is below, with the size.
  if (fault !== undefined && !fault.tooLarge) {
    const issue = { path: ['data', ...fault.path].join('.'), message: fault.message };
    throw new CourierError(isNoJson(fault) ? 'INVALID_ARGUMENT' : 'BAD_REQUEST', `${issue.path}: ${issue.message}`, { issues: [issue] });
  }
  let json: string;
  try {
    json = JSON.stringify(data);
  } catch (cause) {
    throw invalidArgument('data', `is not JSON: ${messageOf(cause)}`, cause);
  }
  const bytes = bytesOf(json);
  if (bytes <= MAX_DATA_BYTES) return json;
  const message = `must be at most ${MAX_DATA_BYTES} bytes as JSON, and is ${bytes}`;
  throw new CourierError('PAYLOAD_TOO_LARGE', `data: ${message}`, { issues: [{ path: 'data', message }] });
}

/** The draft as it is now, whatever becomes of its parts while it waits. @throws {CourierError} as `jsonOf`. */
export function copyOf(draft: EventDraft): EventDraft {
  for (const name of ['channel', 'type'] as const) if (typeof draft[name] !== 'string') throw invalidArgument(name, 'must be a string');
  const data = JSON.parse(jsonOf(draft.data));
  if (draft.metadata === undefined) return { ...draft, data };
  const { timestamp } = draft.metadata;
  return { ...draft, data, metadata: { ...draft.metadata, ...(timestamp instanceof Date && { timestamp: new Date(timestamp) }) } };
}

/** Bytes of the events of one call, at most: the gateway closes a connection for a message of more than 1 MiB. */
export const MAX_CALL_BYTES = 960 * 1024;

/** Events of one call, at most: the gateway takes no more. */
export const MAX_CALL_EVENTS = 500;

/** Refuses events that are too large for one message together. Returns their size. */
export function assertFitsMessage(events: readonly object[]): number {
  const bytes = bytesOf(JSON.stringify(events));
  if (bytes <= MAX_CALL_BYTES) return bytes;
  throw new CourierError('PAYLOAD_TOO_LARGE', `the events must be at most ${MAX_CALL_BYTES} bytes as JSON, and are ${bytes}`, {
    hint: 'publish them in smaller batches',
  });
}

export function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
