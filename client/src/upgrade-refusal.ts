/**
 * How the gateway, or a proxy before it, refuses an upgrade to a WebSocket. A WebSocket tells nobody; Node.js tells it on the
 * diagnostics channel of its HTTP client (undici). In a page there is no such channel, and nothing is heard.
 */

export interface UpgradeRefusal {
  /** The HTTP status. */
  readonly status: number;
  /** What `Retry-After` says. */
  readonly retryAfterMs: number | undefined;
}

/** What undici tells of an answer; names and values of headers alternate. */
interface Answer {
  readonly request: { readonly origin: string | URL; readonly path: string };
  readonly response: { readonly statusCode: number; readonly headers: readonly Uint8Array[] };
}

interface Diagnostics {
  subscribe(channel: string, hear: (message: unknown) => void): void;
  unsubscribe(channel: string, hear: (message: unknown) => void): boolean;
}

const ANSWERS = 'undici:request:headers';
const FIRST_ERROR_STATUS = 400;

/** Asked for when it is needed: bundles for pages have no module of Node.js in them. */
function diagnostics(): Diagnostics | undefined {
  const { process } = globalThis as { readonly process?: { getBuiltinModule?(name: string): Diagnostics | undefined } };
  return process?.getBuiltinModule?.('node:diagnostics_channel');
}

/**
 * Calls `hear` when an upgrade at this address is refused, until the function that it returns is called. Of two attempts at one
 * address at the same time each hears of both: they would be refused alike.
 */
export function onUpgradeRefused(address: string | URL, hear: (refusal: UpgradeRefusal) => void): () => void {
  const channel = diagnostics();
  if (channel === undefined) return () => undefined;
  const { protocol, host, pathname, search } = new URL(address);
  const origin = `${protocol === 'wss:' ? 'https' : 'http'}://${host}`;
  const listen = (message: unknown) => {
    const { request, response } = message as Answer;
    if (response.statusCode < FIRST_ERROR_STATUS || request.path !== pathname + search || String(request.origin) !== origin) return;
    hear({ status: response.statusCode, retryAfterMs: retryAfterMs(response.headers) });
  };
  channel.subscribe(ANSWERS, listen);
  return () => {
    channel.unsubscribe(ANSWERS, listen);
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
