/** What comes of calls that fail late, or whose client has gone: the client and the reports hear the same as with tRPC's own adapter. */
import { describe, expect, test } from 'vitest';
import { openSocket } from '../helpers/raw-socket.ts';
import { call, play, type Script, stop } from '../helpers/trpc-scripts.ts';
import { courierServer, stockServer, type TestServer } from '../helpers/trpc-servers.ts';

/** A subscription that is left alone. */
const alone = (path: string, expected: number): Script => ({ send: [{ message: call(1, 'subscription', path) }], expect: expected });
/** One that is stopped once it has sent an item. */
const stopped = (path: string, input?: unknown): Script => ({
  send: [{ message: call(1, 'subscription', path, input) }, { after: 2, message: stop(1) }],
  expect: 3,
});
/** One that is stopped while its procedure, which was called before the PONG, has yet to return. */
const stoppedEarly = (path: string, input?: unknown): Script => ({
  send: [{ message: call(1, 'subscription', path, input) }, { message: 'PING' }, { after: 1, message: stop(1) }],
  expect: 2,
});

const SCRIPTS: Record<string, Script> = {
  'an error after items': alone('failing', 4),
  'an item that cannot be written': alone('failingUnreadable', 4),
  'an error of the observable after items': alone('observedFailing', 4),
  'an iterable that does not begin': alone('failingToBegin', 3),
  'an iterable that does not begin, after a stop': stoppedEarly('failingToBeginLate'),
  'an error after a stop': stopped('failingAfterStop'),
  'giving up after a stop': stopped('givingUpAfterStop'),
  'an item after a stop': stopped('yieldingAfterStop'),
  'an error in the clean-up': stopped('failingInCleanup'),
  'an error from return() in the end': alone('failingInReturn', 3),
  'an error from return() after a stop': stopped('failingInReturnAfterStop'),
  'an error from next() and from return()': alone('failingTwice', 3),
  'an error while return() waits for the stop': alone('waitingInReturn', 3),
  'an error from the disposal that stands for return()': alone('disposable', 2),
  'a procedure that gives up after a stop': stoppedEarly('failingSetupAfterStop', 'gives up'),
  'a procedure that fails after a stop': stoppedEarly('failingSetupAfterStop', 'breaks'),
  'a procedure that forbids after a stop': stoppedEarly('failingSetupAfterStop', 'forbids'),
};

describe('late errors', () => {
  test.each(Object.entries(SCRIPTS))('%s', async (_name, script) => {
    await using stock = await stockServer();
    await using courier = await courierServer();
    const [theirs, ours] = await Promise.all([play(stock, script), play(courier, script)]);
    expect(ours).toEqual(theirs);
    expect([...courier.reports].sort()).toEqual([...stock.reports].sort());
  });
});

/** What a procedure notes, and what is reported, when it goes on once the client has gone; the server serves others after it. */
async function outcomeWithout(server: TestServer, message: unknown) {
  {
    await using gone = await openSocket(server.url);
    gone.send(message);
    gone.send('PING');
    await gone.count(1);
    const idle = server.idle();
    gone.ws.terminate();
    await idle;
  }
  server.stage.go.resolve();
  const after = await play(server, { send: [{ message: call(1, 'query', 'hello', 'x') }], expect: 1 });
  return { after, notes: server.stage.notes, reports: server.reports };
}

describe('a result that is there once the client has gone', () => {
  test.each([
    ['of a query', call(1, 'query', 'waiting', 'succeeds')],
    ['of a query that fails', call(1, 'query', 'waiting', 'fails')],
    ['of several calls in one message', [call(1, 'query', 'waiting', 'succeeds'), call(2, 'subscription', 'waitingSubscription', 'fails')]],
    ['of a subscription', call(1, 'subscription', 'waitingSubscription', 'succeeds')],
    ['of a subscription that fails', call(1, 'subscription', 'waitingSubscription', 'fails')],
    ['of an observable', call(1, 'subscription', 'waitingObservable')],
  ])('%s', async (_name, message) => {
    await using stock = await stockServer();
    await using courier = await courierServer();
    const [theirs, ours] = await Promise.all([outcomeWithout(stock, message), outcomeWithout(courier, message)]);
    expect(ours).toEqual(theirs);
    expect(ours.notes).not.toEqual([]);
  });
});
