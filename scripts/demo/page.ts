/** The frontend of the examples, as its own site beside the gateway: built, served, and given tokens for its user. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sirv from 'sirv';

const ROOT = fileURLToPath(new URL('../../client/examples/frontend/', import.meta.url));
const HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

export interface Site {
  /** The origin that the gateway must allow. */
  readonly origin: string;
  /** Builds the page for a gateway, and serves it from then on. */
  open(gateway: string): Promise<void>;
}

/**
 * Takes a free port of this machine.
 *
 * @param folder where the page is built.
 * @param signToken makes a token of the page's user, which need not live long: the client asks for another before it expires.
 */
export async function startSite(folder: string, signToken: () => Promise<string>, stack: AsyncDisposableStack): Promise<Site> {
  const outDir = join(folder, 'page');
  let files: ReturnType<typeof sirv> | undefined;
  let own: URL | undefined;
  const server = createServer(async (request, response) => {
    const { host, origin = own?.origin } = request.headers;
    // A page of another site may have its name lead to this machine, and would read the token.
    if (host !== own?.host || origin !== own?.origin) {
      response.writeHead(421, HEADERS).end();
      return;
    }
    if (request.url === '/session/courier-token' && request.method === 'GET') {
      response.writeHead(200, { ...HEADERS, 'content-type': 'text/plain' }).end(await signToken());
      return;
    }
    const missing = () => void response.writeHead(404, HEADERS).end();
    if (files === undefined) missing();
    else files(request, response, missing);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => {
    server.close();
    server.closeAllConnections();
  });
  own = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return {
    origin: own.origin,
    open: async (gateway) => {
      const { build } = await import('vite');
      const define = { COURIER_URL: JSON.stringify(gateway) };
      await build({ root: ROOT, define, build: { outDir, emptyOutDir: true }, logLevel: 'error' });
      files = sirv(outDir);
    },
  };
}
