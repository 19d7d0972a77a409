/**
 * The dashboard at `/admin/`: static files, as its build left them. Whoever asks gets them, since nothing in them is secret;
 * what the dashboard shows it gets over tRPC, with the token of whoever looks at it.
 */
import { existsSync, type ReadStream } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import sirv, { type RequestHandler } from 'sirv';
import { CourierError } from '../errors.ts';
import { markPage } from './browser-headers.ts';
import type { RequestTarget } from './request-target.ts';

/** Where `npm run build:dashboard` leaves it, seen from the package: the same from source and from `dist`. */
const BUILT = join(dirname(findPackageJSON(import.meta.url) as string), 'client', 'dashboard', 'dist');
const ROOT = '/admin';
const METHODS = ['GET', 'HEAD'];
/** Names in this folder change with what is in them: in seconds, a year. */
const ASSETS = '/assets/';
const ASSET_CACHING = 'public, max-age=31536000, immutable';

export interface DashboardRequest {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly target: RequestTarget;
  readonly requestId: string;
}

/**
 * Answers a request below `/admin`; resolves when the answer has gone, or its reader has.
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
  const isBuilt = existsSync(join(folder, 'index.html'));
  const files = isBuilt ? sirv(folder, { etag: true, brotli: true, gzip: true, extensions: [] }) : undefined;
  return async ({ req, res, target, requestId }) => {
    if (!METHODS.includes(req.method ?? '')) {
      res.setHeader('allow', METHODS.join(', '));
      throw new CourierError('METHOD_NOT_SUPPORTED', `use ${METHODS.join(' or ')} here`);
    }
    if (files === undefined) {
      throw new CourierError('NOT_FOUND', 'the dashboard is not built: run `npm run build:dashboard`, and start the gateway again');
    }
    res.setHeader('x-request-id', requestId);
    // Relative, so that it holds behind a proxy that puts a path in front.
    if (target.path === ROOT) res.writeHead(308, { location: `admin/${target.search}` }).end();
    else await send(files, { req, res, path: target.path.slice(ROOT.length) });
  };
}

/** Sends the file at `path`. Where there is none the page is sent, which has routes of its own; but never for an asset. */
function send(files: RequestHandler, { req, res, path }: { req: IncomingMessage; res: ServerResponse; path: string }): Promise<void> {
  const isAsset = path.startsWith(ASSETS);
  res.setHeader('cache-control', isAsset ? ASSET_CACHING : 'no-cache');
  if (!isAsset) markPage(res);
  // This is what sirv reads of a request. Without ranges: it answers those that make no sense with an error.
  const { 'accept-encoding': encoding, 'if-none-match': known } = req.headers;
  const headers = { 'accept-encoding': encoding, 'if-none-match': known };
  return new Promise((resolve, reject) => {
    const find = (file: string, otherwise: () => void) => files({ url: file, headers } as IncomingMessage, res, otherwise);
    const missing = () => reject(new CourierError('NOT_FOUND', 'this build of the dashboard has no such file: load the page again'));
    res.once('close', resolve);
    // sirv keeps a file open whose reader has gone, and does not hear that one cannot be read.
    res.once('pipe', (file: ReadStream) => {
      file.once('error', reject);
      res.once('close', () => file.destroy());
    });
    find(path, isAsset ? missing : () => find('/index.html', missing));
  });
}
