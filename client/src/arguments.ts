/** Checks of what callers hand in, before anything is sent. */
import { findFault, MAX_DATA_BYTES } from '../../src/contract/json.ts';
import { CourierError, messageOf } from './errors.ts';

/** The address of the tRPC endpoint below the gateway's. */
export function endpointOf(url: string): string {
  const base = (globalThis as { readonly location?: { readonly href: string } }).location?.href;
  let parsed: URL;
  try {
    parsed = new URL(url, base);
  } catch (cause) {
    throw new CourierError('INVALID_ARGUMENT', `url: ${JSON.stringify(url)} is no address such as http://127.0.0.1:8766`, { cause });
  }
  if (!/^(https?|wss?):$/.test(parsed.protocol)) {
    throw new CourierError('INVALID_ARGUMENT', `url: ${JSON.stringify(url)} must begin with http://, https://, ws:// or wss://`);
  }
  parsed.protocol = parsed.protocol.replace('http', 'ws');
  parsed.pathname = `${parsed.pathname.replace(/\/+$/, '')}/trpc`;
  parsed.search = '';
  parsed.hash = '';
  return parsed.href;
}

export function listOf(channels: string | readonly string[]): string[] {
  return typeof channels === 'string' ? [channels] : [...channels];
}

/** Refuses what cannot be sent, before the connection is closed for it. */
export function assertSendable(data: unknown): void {
  let json: string | undefined;
  try {
    json = JSON.stringify(data);
  } catch (cause) {
    throw new CourierError('INVALID_ARGUMENT', `data: is not JSON: ${messageOf(cause)}`, { cause });
  }
  const fault = findFault(data);
  // What is too large is told below, with its size.
  if (fault !== undefined && !fault.tooLarge) {
    const issue = { path: ['data', ...fault.path].join('.'), message: fault.message };
    throw new CourierError('BAD_REQUEST', `${issue.path}: ${issue.message}`, { issues: [issue] });
  }
  const bytes = new TextEncoder().encode(json).length;
  if (bytes <= MAX_DATA_BYTES) return;
  const message = `must be at most ${MAX_DATA_BYTES} bytes as JSON, and is ${bytes}`;
  throw new CourierError('PAYLOAD_TOO_LARGE', `data: ${message}`, { issues: [{ path: 'data', message }] });
}

/** Bytes of one call's events, at most: the gateway closes a connection for a message of more than 1 MiB. */
const MAX_CALL_BYTES = 960 * 1024;

/** Refuses events that are too much for one message together. */
export function assertFitsMessage(events: readonly object[]): void {
  const bytes = new TextEncoder().encode(JSON.stringify(events)).length;
  if (bytes <= MAX_CALL_BYTES) return;
  throw new CourierError('PAYLOAD_TOO_LARGE', `the events must be at most ${MAX_CALL_BYTES} bytes as JSON, and are ${bytes}`, {
    hint: 'publish them in smaller batches',
  });
}
