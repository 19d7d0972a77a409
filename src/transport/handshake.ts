/** The handshake of a WebSocket (RFC 6455, section 4.2.1): whether a request asks for one, and what is wrong with it. */
import type { IncomingMessage } from 'node:http';
import { CourierError } from '../errors.ts';

/** As `ws` speaks them. */
const VERSIONS: ReadonlySet<string | undefined> = new Set(['13', '8']);
/** 16 bytes in base64. */
const KEY = /^[+/0-9A-Za-z]{22}==$/;
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

/** Of what is answered with 426: what to ask for. */
export const UPGRADE_TO = { connection: 'close, upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' };
/** A request where only a WebSocket is served. */
export const UPGRADE_REQUIRED = new CourierError('METHOD_NOT_SUPPORTED', 'there is a WebSocket at this path: ask for an upgrade', {
  status: 426,
});

/** Other upgrades are offers, which a server may pass over; a WebSocket's has no body. */
export function isWebSocketUpgrade({ method, headers }: IncomingMessage): boolean {
  const { upgrade, 'content-length': length = '0', 'transfer-encoding': coding } = headers;
  return method === 'GET' && upgrade?.toLowerCase() === 'websocket' && length === '0' && coding === undefined;
}

/** Refuses an upgrade that the WebSocket server could not answer. @throws {CourierError} BAD_REQUEST */
export function requireHandshake({ headers }: IncomingMessage): void {
  if (!VERSIONS.has(headers['sec-websocket-version'])) {
    throw new CourierError('BAD_REQUEST', 'the version of the WebSocket protocol (Sec-WebSocket-Version) must be 13', { status: 426 });
  }
  if (!KEY.test(headers['sec-websocket-key'] ?? '')) {
    throw new CourierError('BAD_REQUEST', 'the header Sec-WebSocket-Key must be 16 bytes in base64');
  }
  const protocols = headers['sec-websocket-protocol']?.split(',').map((protocol) => protocol.trim()) ?? [];
  if (!protocols.every((protocol) => TOKEN.test(protocol)) || new Set(protocols).size < protocols.length) {
    throw new CourierError('BAD_REQUEST', 'the header Sec-WebSocket-Protocol must be a list of different names');
  }
}
