/**
 * The dashboard at `/admin/`: its page, and static files as its build left them. Everybody gets them, since nothing in them is secret; what
 * the dashboard shows it gets over tRPC, with the token of the user who looks at it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CourierError } from '../errors.ts';
import { markPage } from './browser-headers.ts';
import { type Asset, etagOf, readBuild } from './dashboard-build.ts';
import { requireMethod } from './http-exchange.ts';
import type { Exchange } from './http-requests.ts';
import type { RequestTarget } from './request-target.ts';

const ROOT = '/admin';
const METHODS = ['GET', 'HEAD'];
/** Names in this folder change with what is in them: in seconds, a year. */
const ASSETS = '/assets/';
/** How the page names them: seen from where it is itself, so that it may lie below any path. */
const ASSETS_IN_PAGE = '"./assets/';
/** Folders between `/admin/` and an address of the page, at most: no page has so many. */
const MAX_DEPTH = 8;
const ASSET_CACHING = 'public, max-age=31536000, immutable';

export interface DashboardRequest extends Exchange {
  readonly target: RequestTarget;
}

/**
 * Answers a request below `/admin`; resolves when the answer or the client has gone.
 *
 * @throws {CourierError} for everything that is to be answered with a problem document.
 */
export type Dashboard = (request: DashboardRequest) => Promise<void>;

/** True for what the dashboard answers. */
export function isOfDashboard({ path }: RequestTarget): boolean {
  return path === ROOT || path.startsWith(`${ROOT}/`);
}

/** Reads the build in `folder`, or where it is by default. What is built later is not seen. */
export function openDashboard(folder?: string): Dashboard {
  const build = readBuild(folder);
  return async ({ req, res, target, requestId }) => {
    requireMethod(req, res, METHODS);
    if (typeof build === 'string') throw new CourierError('NOT_FOUND', build);
    res.setHeader('x-request-id', requestId);
    const path = target.path.slice(ROOT.length);
    // Relative, so that it holds behind a proxy that puts a path in front.
    if (target.path === ROOT) res.writeHead(308, { location: `admin/${target.search}` }).end();
    else if (path.startsWith(ASSETS)) sendAsset(build.assets.get(path.slice(ASSETS.length)), req, res);
    else sendPage(build.page, { req, res, path });
    await written(res);
  };
}

interface FileRequest {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly path: string;
}

/** Sends the page, whatever its address: it has routes of its own. Only what it names is named from there. */
function sendPage(page: string, { req, res, path }: FileRequest): void {
  const depth = path.split('/').length - 2;
  if (depth > MAX_DEPTH) throw new CourierError('NOT_FOUND', 'the dashboard has no page at this path');
  const html = page.replaceAll(ASSETS_IN_PAGE, `"${'../'.repeat(depth)}assets/`);
  const etag = etagOf(html);
  markPage(res);
  res.setHeader('cache-control', 'no-cache');
  res.setHeader('etag', etag);
  if (req.headers['if-none-match'] === etag) res.writeHead(304).end();
  else res.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-length': Buffer.byteLength(html) }).end(html);
}

/** Sends an asset, whole, in the encoding that is the smallest of those that the client takes. */
function sendAsset(asset: Asset | undefined, { headers }: IncomingMessage, res: ServerResponse): void {
  if (asset === undefined) throw new CourierError('NOT_FOUND', 'this build of the dashboard has no such file: load the page again');
  const encoded = asset.encoded.find(({ encoding }) => takes(headers['accept-encoding'], encoding));
  const { bytes, etag } = encoded ?? asset;
  res.setHeader('cache-control', ASSET_CACHING);
  res.setHeader('vary', 'Accept-Encoding');
  res.setHeader('etag', etag);
  if (headers['if-none-match'] === etag) {
    res.writeHead(304).end();
    return;
  }
  if (encoded !== undefined) res.setHeader('content-encoding', encoded.encoding);
  res.writeHead(200, { 'content-type': asset.contentType, 'content-length': bytes.length }).end(bytes);
}

/** Whether an `Accept-Encoding` header names the encoding, and not to refuse it (`q=0`). */
function takes(header: string | string[] | undefined, encoding: string): boolean {
  const named = String(header ?? '')
    .split(',')
    .map((part) =>
      part
        .trim()
        .toLowerCase()
        .split(/\s*;\s*/),
    )
    .find(([name]) => name === encoding);
  return named !== undefined && !named.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
}

/** Resolves when the answer or the client has gone. */
function written(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (res.closed) resolve();
    else res.once('close', resolve);
  });
}
