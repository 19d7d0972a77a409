/** A reverse proxy that changes what it passes on: headers, and the path. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { pipeline } from 'node:stream';

export interface HttpProxyOptions {
  /** The headers that are passed on, from those that came. */
  readonly headers?: (given: Readonly<Record<string, string>>) => Record<string, string>;
  /** The path that is passed on, with its query. */
  readonly path?: (given: string) => string;
}

export interface HttpProxy extends AsyncDisposable {
  readonly url: string;
}

/** Starts a proxy in front of whatever listens at `target`. */
export async function startHttpProxy(
  target: string,
  { headers = (given) => given, path = (given) => given }: HttpProxyOptions = {},
): Promise<HttpProxy> {
  const { hostname: host, port } = new URL(target);
  const sockets = new Set<Socket>();
  const ignore = () => undefined;
  const passOn = (req: IncomingMessage) =>
    request({
      host,
      port,
      agent: false,
      method: req.method,
      path: path(req.url ?? ''),
      headers: headers(Object.fromEntries(Object.entries(req.headers).map(([name, value]) => [name, String(value)]))),
    });
  const server = createServer((req, res) => {
    const upstream = passOn(req);
    upstream.on('response', (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
      pipeline(answer, res, ignore);
    });
    pipeline(req, upstream, ignore);
    res.on('close', () => upstream.destroy());
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (req, client: Socket) => {
    const upstream = passOn(req);
    const answer = ({ statusCode, statusMessage, rawHeaders }: IncomingMessage) => {
      const lines = rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${rawHeaders[index + 1]}`] : []));
      client.write(`${[`HTTP/1.1 ${statusCode} ${statusMessage}`, ...lines].join('\r\n')}\r\n\r\n`);
    };
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
    upstream.on('response', (refused) => {
      answer(refused);
      pipeline(refused, client, ignore);
    });
    upstream.on('upgrade', (accepted, socket, head) => {
      answer(accepted);
      client.write(head);
      pipeline(client, socket, client, ignore);
    });
    upstream.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
