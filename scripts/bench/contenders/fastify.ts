/** Fastify, with its validator: checks the JSON, and answers with a receipt. */
import { fastify } from 'fastify-5';
import { serveContender } from '../contender.ts';
import { type Published, receiptOf } from './answering.ts';

const text = { type: 'string' } as const;
const body = {
  type: 'object',
  required: ['type', 'channel', 'data'],
  properties: {
    type: text,
    channel: text,
    data: {
      type: 'object',
      required: ['job_id', 'progress'],
      properties: { job_id: text, progress: { type: 'number', minimum: 0, maximum: 1 }, step: text, message: text },
    },
  },
};

await serveContender(async () => {
  const app = fastify();
  app.post('/publish', { schema: { body } }, (req, reply) => reply.code(201).send(receiptOf(req.body as Published)));
  const address = await app.listen({ port: 0, host: '127.0.0.1' });
  return { port: Number(new URL(address).port), publish: () => undefined };
});
