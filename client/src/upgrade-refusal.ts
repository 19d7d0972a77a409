/**
 * Why an attempt to open a WebSocket fails. A WebSocket tells nobody; Node.js tells it on the diagnostics channels of its HTTP client
 * (undici). In a page there are no such channels, and nothing is heard.
 */

/** The gateway, or what else is at the address, refused the upgrade. */
export interface UpgradeRefusal {
  /** The HTTP status. */
  readonly status: number;
  /** What `Retry-After` says. */
  readonly retryAfterMs: number | undefined;
}

/** There was no answer. */
export interface NoAnswer {
  readonly cause: unknown;
}

export type AttemptFailure = UpgradeRefusal | NoAnswer;

interface Request {
  readonly origin: string | URL;
  readonly path: string;
  readonly upgrade: string | null;
}

/** What undici tells of an answer; names and values of headers alternate. */
interface Answered {
  readonly request: Request;
  readonly response: { readonly statusCode: number; readonly headers: readonly Uint8Array[] };
}

/** What undici tells of a request without an answer. */
interface Failed {
  readonly request: Request;
  readonly error: unknown;
}

interface Diagnostics {
  subscribe(channel: string, hear: (message: unknown) => void): void;
  unsubscribe(channel: string, hear: (message: unknown) => void): boolean;
}

const ANSWERS = 'undici:request:headers';
const ERRORS = 'undici:request:error';

/** Asked for when it is needed: bundles for pages have no module of Node.js in them. */
function diagnostics(): Diagnostics | undefined {
  const { process } = globalThis as { readonly process?: { getBuiltinModule?(name: string): Diagnostics | undefined } };
  return process?.getBuiltinModule?.('node:diagnostics_channel');
}

/**
 * Calls `hear` when an upgrade at this address fails, until the function that it returns is called. Of two attempts at one address at
 * the same time each hears of both: they would fail alike.
 */
export function onAttemptFailed(address: string | URL, hear: (failure: AttemptFailure) => void): () => void {
  const channels = diagnostics();
  if (channels === undefined) return () => undefined;
  const { protocol, host, pathname, search } = new URL(address);
  const origin = `${protocol === 'wss:' ? 'https' : 'http'}://${host}`;
  const isOurs = (request: Request) =>
    request.upgrade === 'websocket' && request.path === pathname + search && String(request.origin) === origin;
  const answered = (message: unknown) => {
    const { request, response } = message as Answered;
    if (isOurs(request)) hear({ status: response.statusCode, retryAfterMs: retryAfterMs(response.headers) });
  };
  const failed = (message: unknown) => {
    const { request, error } = message as Failed;
    // The client's own end of an attempt says nothing of the address.
    if (isOurs(request) && (error as Error).name !== 'AbortError') hear({ cause: error });
  };
  channels.subscribe(ANSWERS, answered);
  channels.subscribe(ERRORS, failed);
  return () => {
    channels.unsubscribe(ANSWERS, answered);
    channels.unsubscribe(ERRORS, failed);
  };
}

/** The three forms of a date in HTTP (RFC 9110, section 5.6.7). The last has no time zone. */
const DATE = /^[A-Z][a-z]{2,8},? .+ \d{2}:\d{2}:\d{2}( GMT| \d{4})$/;

/** `Retry-After` in ms: seconds, or a date (RFC 9110, section 10.2.3); undefined for anything else. */
function retryAfterMs(headers: readonly Uint8Array[]): number | undefined {
  const texts = headers.map((bytes) => new TextDecoder().decode(bytes));
  const index = texts.findIndex((text, place) => place % 2 === 0 && text.toLowerCase() === 'retry-after');
  const value = index < 0 ? '' : (texts[index + 1] ?? '').trim();
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const date = DATE.test(value) ? Date.parse(value.endsWith('GMT') ? value : `${value} GMT`) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}
