/**
 * The dashboard at `/admin/`: its page, and static files as its build left them. Everybody gets them, since nothing in them is secret; what
 * the dashboard shows it gets over tRPC, with the token of the user who looks at it.
 */
import { createHash } from 'node:crypto';
import { existsSync, type ReadStream, readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import sirv, { type RequestHandler } from 'sirv';
import { CourierError } from '../errors.ts';
import { markPage } from './browser-headers.ts';
import { requireMethod } from './http-exchange.ts';
import type { Exchange } from './http-requests.ts';
import type { RequestTarget } from './request-target.ts';

/** Where `npm run build:dashboard` leaves it, seen from the package: the same from source and from `dist`. */
const BUILT = join(dirname(findPackageJSON(import.meta.url) as string), 'client', 'dashboard', 'dist');
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

/** Opens the build in `folder`. It is looked through now: what is built later is not seen. */
export function openDashboard(folder: string = BUILT): Dashboard {
  const build = readBuild(folder);
  return async ({ req, res, target, requestId }) => {
    requireMethod(req, res, METHODS);
    if (build === undefined) {
      throw new CourierError('NOT_FOUND', 'the dashboard is not built: run `npm run build:dashboard`, and start the gateway again');
    }
    res.setHeader('x-request-id', requestId);
    // Relative, so that it holds behind a proxy that puts a path in front.
    if (target.path === ROOT) res.writeHead(308, { location: `admin/${target.search}` }).end();
    else if (target.path.startsWith(ROOT + ASSETS)) await sendAsset(build.files, { req, res, path: target.path.slice(ROOT.length) });
    else sendPage(build.page, { req, res, path: target.path.slice(ROOT.length) });
  };
}

function readBuild(folder: string): { readonly page: string; readonly files: RequestHandler } | undefined {
  const index = join(folder, 'index.html');
  if (!existsSync(index)) return undefined;
  return { page: readFileSync(index, 'utf8'), files: sirv(folder, { etag: true, brotli: true, gzip: true, extensions: [] }) };
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
  const etag = `"${createHash('sha256').update(html).digest('base64url')}"`;
  markPage(res);
  res.setHeader('cache-control', 'no-cache');
  res.setHeader('etag', etag);
  if (req.headers['if-none-match'] === etag) res.writeHead(304).end();
  else res.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-length': Buffer.byteLength(html) }).end(html);
}

/** Sends the asset at `path`. */
function sendAsset(files: RequestHandler, { req, res, path }: FileRequest): Promise<void> {
  res.setHeader('cache-control', ASSET_CACHING);
  // This is what sirv reads of a request. Without ranges: it answers those that make no sense with an error.
  const { 'accept-encoding': encoding, 'if-none-match': known } = req.headers;
  const headers = { 'accept-encoding': encoding, 'if-none-match': known };
  return new Promise((resolve, reject) => {
    res.once('close', resolve);
    // sirv keeps a file open whose client has gone, and does not hear that one cannot be read.
    res.once('pipe', (file: ReadStream) => {
      file.once('error', reject);
      res.once('close', () => file.destroy());
    });
    files({ url: path, headers } as IncomingMessage, res, () => {
      reject(new CourierError('NOT_FOUND', 'this build of the dashboard has no such file: load the page again'));
    });
  });
}
