/** What answers say to browsers: what may be done with them, and which pages of other origins may read them (CORS). */
import type { ServerResponse } from 'node:http';

/** Headers that pages may send. */
const ALLOWED_HEADERS = [
  'authorization',
  'content-type',
  'idempotency-key',
  'last-event-id',
  'traceparent',
  'trpc-accept',
  'x-causation-id',
  'x-correlation-id',
  'x-courier-client',
  'x-courier-contract',
  'x-event-type',
  'x-request-id',
].join(', ');
/** Headers of answers that pages may read. */
const EXPOSED_HEADERS = 'ratelimit, ratelimit-policy, retry-after, x-courier-contract, x-request-id';
/** Styles may be inline, since Mantine puts its own into the page; scripts may not. `self` covers WebSockets too. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** What every answer says unless it is a page: it is data. */
export function markData(res: ServerResponse): void {
  res.setHeader('x-content-type-options', 'nosniff');
  res.setHeader('referrer-policy', 'no-referrer');
  res.setHeader('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
}

/** Makes data a page of the gateway's own, which runs its own scripts and speaks to its own origin only. */
export function markPage(res: ServerResponse): void {
  res.setHeader('content-security-policy', PAGE_POLICY);
  res.setHeader('cross-origin-opener-policy', 'same-origin');
}

/** Lets pages of `origin` read the answer. */
export function letPagesRead(res: ServerResponse, origin: string): void {
  res.setHeader('access-control-allow-origin', origin);
  res.setHeader('access-control-expose-headers', EXPOSED_HEADERS);
}

/** Answers a browser that asks what pages may send. */
export function answerPreflight(res: ServerResponse): void {
  res.setHeader('access-control-allow-methods', 'GET, POST');
  res.setHeader('access-control-allow-headers', ALLOWED_HEADERS);
  res.setHeader('access-control-max-age', '600');
  res.writeHead(204).end();
}
