/** Bare `node:http`: reads the JSON, and answers with a receipt. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serveContender } from '../contender.ts';
import { type Published, receiptOf } from './answering.ts';

await serveContender(async () => {
  const http = createServer((req, res) => {
    let text = '';
    req.setEncoding('utf8');
    req.on('data', (chunk: string) => {
      text += chunk;
    });
    req.on('end', () => {
      const answer = JSON.stringify(receiptOf(JSON.parse(text) as Published));
      res.writeHead(201, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(answer) }).end(answer);
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return { port: (http.address() as AddressInfo).port, publish: () => undefined };
});
