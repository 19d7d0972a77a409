/** The page, built once for each React by Vite, served from the loopback interface. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

/** Where each React is installed. */
const REACTS = {
  18: fileURLToPath(new URL('../react-18/node_modules', import.meta.url)),
  19: fileURLToPath(new URL('../../../node_modules', import.meta.url)),
} as const;

export type ReactVersion = keyof typeof REACTS;
export const REACT_VERSIONS: readonly ReactVersion[] = [18, 19];

export interface Site extends AsyncDisposable {
  /** For COURIER_ALLOWED_ORIGINS. */
  readonly origin: string;
  /** The address of the page with a React. */
  page(react: ReactVersion): string;
}

export async function startSite(): Promise<Site> {
  const files = new Map<string, string | Uint8Array>();
  for (const react of REACT_VERSIONS) {
    for (const [name, content] of await builtFor(react)) files.set(`/${react}/${name}`, content);
  }
  const server = createServer((request, response) => {
    const content = files.get(request.url ?? '');
    response.writeHead(content === undefined ? 404 : 200, {
      'content-type': request.url?.endsWith('.js') ? 'text/javascript' : 'text/html; charset=utf-8',
    });
    response.end(content);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    page: (react) => `${origin}/${react}/index.html`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** StrictMode does what it is there for in a development build only. */
async function builtFor(react: ReactVersion): Promise<[name: string, content: string | Uint8Array][]> {
  const result = await build({
    configFile: false,
    root: fileURLToPath(new URL('.', import.meta.url)),
    base: './',
    mode: 'development',
    // What is 'use client' to some frameworks is nothing to Vite, which says so.
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': JSON.stringify('development') },
    resolve: { alias: { react: `${REACTS[react]}/react`, 'react-dom': `${REACTS[react]}/react-dom` } },
    build: { write: false, minify: false },
  });
  if (!('output' in result)) throw new Error('Vite did not build one bundle');
  return result.output.map((file) => [file.fileName, file.type === 'asset' ? file.source : file.code]);
}
