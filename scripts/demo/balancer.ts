/** One address for several gateways, as a load balancer has it: each connection goes to the next gateway that takes it. */
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';

/** Starts it on a free port; resolves to its address. */
export async function startBalancer(gateways: readonly string[], stack: AsyncDisposableStack): Promise<string> {
  const sockets = new Set<Socket>();
  let next = 0;
  const forward = (client: Socket, attempts: number) => {
    const { hostname, port } = new URL(gateways[next++ % gateways.length] as string);
    const upstream = dial(Number(port), hostname);
    const onRefused = () => (attempts > 1 ? forward(client, attempts - 1) : client.destroy());
    upstream.once('error', onRefused).once('connect', () => {
      upstream.off('error', onRefused);
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        sockets.add(from);
        from.on('error', () => undefined);
        from.on('close', () => {
          sockets.delete(from);
          to.destroy();
        });
        from.pipe(to);
      }
    });
  };
  const server = createServer((client) => {
    client.on('error', () => undefined);
    forward(client, gateways.length);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
