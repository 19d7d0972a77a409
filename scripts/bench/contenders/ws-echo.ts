/** Bare `ws`: reads the JSON of a tRPC call, and answers with that of a receipt. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { serveContender } from '../contender.ts';
import { type Published, receiptOf } from './answering.ts';

interface Call {
  readonly id?: number;
  readonly params: { readonly input: { readonly json: Published } };
}

await serveContender(async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  server.on('connection', (ws) => {
    ws.on('message', (data) => {
      const { id, params } = JSON.parse(String(data)) as Call;
      // Connection parameters have no id.
      if (id === undefined) return;
      const json = receiptOf(params.input.json);
      const meta = { values: { timestamp: ['Date'] }, v: 1 };
      ws.send(JSON.stringify({ id, result: { type: 'data', data: { json, meta } } }));
    });
  });
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, publish: () => undefined };
});
