/** Checks the arguments of callers, before the client sends anything. */
import { findFault, MAX_DATA_BYTES } from '../../src/contract/json.ts';
import type { OnGap } from './consumer.ts';
import { CourierError, invalidArgument, messageOf } from './errors.ts';
import type { TokenSource } from './token.ts';

/** The address of the tRPC endpoint below the gateway's. */
export function endpointOf(url: string): string {
  const base = (globalThis as { readonly location?: { readonly href: string } }).location?.href;
  let parsed: URL;
  try {
    parsed = new URL(url, base);
  } catch (cause) {
    throw invalidArgument('url', `${JSON.stringify(url)} is no address such as http://127.0.0.1:8766`, cause);
  }
  if (!/^(https?|wss?):$/.test(parsed.protocol)) {
    throw invalidArgument('url', `${JSON.stringify(url)} must begin with http://, https://, ws:// or wss://`);
  }
  parsed.protocol = parsed.protocol.replace('http', 'ws');
  parsed.pathname = `${parsed.pathname.replace(/\/+$/, '')}/trpc`;
  parsed.search = '';
  parsed.hash = '';
  return parsed.href;
}

export function assertTokenSource(token: TokenSource): void {
  if (typeof token !== 'string' && typeof token !== 'function') {
    throw invalidArgument('token', 'must be a string, or a function that gives one');
  }
}

export function assertOnGap(onGap: OnGap | undefined): void {
  if (onGap !== undefined && onGap !== 'continue' && onGap !== 'fail' && typeof onGap !== 'function') {
    throw invalidArgument('onGap', "choose 'continue', 'fail' or a function for when events are missing");
  }
}

/**
 * Refuses data that the gateway would refuse, or close the connection for. It looks for faults before it writes JSON, which would
 * refuse a bigint without its path.
 */
export function assertSendable(data: unknown): void {
  const fault = findFault(data);
  // The error for data that is too large is below, with the size.
  if (fault !== undefined && !fault.tooLarge) {
    const issue = { path: ['data', ...fault.path].join('.'), message: fault.message };
    throw new CourierError('BAD_REQUEST', `${issue.path}: ${issue.message}`, { issues: [issue] });
  }
  let json: string | undefined;
  try {
    json = JSON.stringify(data);
  } catch (cause) {
    throw invalidArgument('data', `is not JSON: ${messageOf(cause)}`, cause);
  }
  const bytes = new TextEncoder().encode(json).length;
  if (bytes <= MAX_DATA_BYTES) return;
  const message = `must be at most ${MAX_DATA_BYTES} bytes as JSON, and is ${bytes}`;
  throw new CourierError('PAYLOAD_TOO_LARGE', `data: ${message}`, { issues: [{ path: 'data', message }] });
}

/** Bytes of the events of one call, at most: the gateway closes a connection for a message of more than 1 MiB. */
const MAX_CALL_BYTES = 960 * 1024;

/** Refuses events that are too large for one message together. */
export function assertFitsMessage(events: readonly object[]): void {
  const bytes = new TextEncoder().encode(JSON.stringify(events)).length;
  if (bytes <= MAX_CALL_BYTES) return;
  throw new CourierError('PAYLOAD_TOO_LARGE', `the events must be at most ${MAX_CALL_BYTES} bytes as JSON, and are ${bytes}`, {
    hint: 'publish them in smaller batches',
  });
}
