/** A connection whose context is refused: whatever was called on it is answered, as by tRPC's own adapter. */
import { describe, expect, test } from 'vitest';
import { openSocket } from '../helpers/raw-socket.ts';
import { byCall, call, play, type Script, stop } from '../helpers/trpc-scripts.ts';
import { courierServer, stockServer } from '../helpers/trpc-servers.ts';

const CALLS = [
  call(1, 'query', 'hello', 'x'),
  call(2, 'mutation', 'add', { a: 1, b: 2 }),
  call(3, 'subscription', 'three'),
  call('x', 'query', 'nope'),
];

interface Refused {
  readonly messages: readonly unknown[];
  /** How many there are, that to the connection as a whole among them. */
  readonly answers: number;
}

const refused = (messages: readonly unknown[], answers: number): Refused => ({ messages, answers });
const PARAMS = { message: { method: 'connectionParams', data: { refuse: 'late' } } };

/** tRPC's adapter answers the calls that it has read when the refusal comes: the PONG says that it has. */
const forStock = ({ messages, answers }: Refused): Script => ({
  query: '/?connectionParams=1',
  send: [PARAMS, ...messages.map((message) => ({ message })), { message: 'PING' }, { after: 1, go: true }],
  expect: 1 + answers,
});
/** Courier reads none before, and answers those that come right behind the parameters. */
const forCourier = ({ messages, answers }: Refused): Script => ({
  query: '/?connectionParams=1',
  send: [PARAMS, ...messages.map((message) => ({ message })), { go: true }],
  expect: answers,
});

const SCRIPTS: Record<string, Refused> = {
  'one query': refused(CALLS.slice(0, 1), 2),
  'one mutation': refused(CALLS.slice(1, 2), 2),
  'one subscription': refused(CALLS.slice(2, 3), 2),
  'several calls in the same moment': refused(CALLS, 5),
  'several calls in one message': refused([CALLS], 5),
  'several calls in several messages': refused([CALLS.slice(0, 2), CALLS.slice(2)], 5),
  'a call with jsonrpc': refused([{ jsonrpc: '2.0', ...call(1, 'query', 'hello', 'x') }], 2),
  'a subscription that is stopped': refused([call(1, 'subscription', 'three'), stop(1)], 2),
  'a query with lastEventId': refused([call(1, 'query', 'hello', 'x', { lastEventId: 'e' })], 2),
  'what is no call': refused(['{"id":1,', [call(1, 'query', 'hello', 'x'), 5]], 3),
  'a call without an id among others': refused([[call(1, 'query', 'hello', 'x'), call(null, 'query', 'hello', 'x')]], 3),
};

describe('a refused connection', () => {
  test.each(Object.entries(SCRIPTS))('answers %s', async (_name, calls) => {
    await using stock = await stockServer();
    await using courier = await courierServer();
    const [theirs, ours] = await Promise.all([play(stock, forStock(calls)), play(courier, forCourier(calls))]);
    // What is no call has an answer of its own, which tRPC's adapter gives as soon as it has read it.
    expect(byCall(ours.toSorted())).toEqual(byCall(theirs.filter((message) => message !== 'PONG').toSorted()));
  });

  // Its client resumes it with another token; an answer would end it for good.
  test('leaves a subscription that resumes unanswered, unlike the stock adapter, and closes with 1008', async () => {
    await using server = await courierServer();
    await using socket = await openSocket(`${server.url}/?connectionParams=1`);
    socket.send({ method: 'connectionParams', data: { refuse: 'late' } });
    socket.send([call(1, 'subscription', 'echo', {}, { lastEventId: 'e' }), call(2, 'query', 'hello', 'x')]);
    server.stage.go.resolve();
    expect(await socket.closed).toEqual({ code: 1008, reason: 'not you' });
    expect(socket.messages.map((text) => JSON.parse(text))).toMatchObject([
      { id: null, error: { json: { message: 'not you' } } },
      { id: 2, error: { json: { message: 'not you' } } },
    ]);
  });
});
