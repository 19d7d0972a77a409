/**
 * Data that receivers would read as something else is refused, with its path, whichever way it comes in: numbers beyond 2^53 - 1
 * and halves of surrogate pairs, in known fields and free-form ones, at any depth.
 */
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { BackgroundPublisher, type CourierClient, CourierError } from '../../client/src/index.ts';
import type { Principal } from '../../src/auth/principal.ts';
import { principalOf } from '../../src/auth/principal.ts';
import { createRouter } from '../../src/router/index.ts';
import { Context } from '../../src/router/trpc.ts';
import { runCli } from '../helpers/cli.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { SECRET } from '../helpers/gateway.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { clientOf, contract, env, startGateway, type TestGateway, type TradeContract, worker } from '../helpers/trade.ts';

const CHANNEL = worker.channel('j');
const { type: TYPE, field: FREE, number: NUMERIC } = worker.reported;
/** The id that the data of every event has. */
const ID = `"${worker.idField}":"j"`;
const NUMBER = 'must be from -9007199254740991 to 9007199254740991: send a larger number as a string';
const TEXT = 'must be well-formed Unicode, without half of a surrogate pair';

/** Data of `TYPE` as it is sent: JavaScript would not write these numbers. */
const FAULTS = [
  ['a known number', `{${ID},"${NUMERIC}":9007199254740993}`, NUMERIC, NUMBER],
  ['a free-form number', `{${ID},"${FREE}":{"a":{"b":-123456789012345678901}}}`, `${FREE}.a.b`, NUMBER],
  ['a number in a list', `{${ID},"${FREE}":{"a":[1,[2,9007199254740992]]}}`, `${FREE}.a.1.1`, NUMBER],
  ['a large real', `{${ID},"${FREE}":{"a":1.5e300}}`, `${FREE}.a`, NUMBER],
  ['known text', `{"${worker.idField}":"j\\ud83d"}`, worker.idField, TEXT],
  ['free-form text', `{${ID},"${FREE}":{"a":["x","\\ude80"]}}`, `${FREE}.a.1`, TEXT],
  ['a key', `{${ID},"${FREE}":{"a":{"x\\ud83d":1}}}`, `${FREE}.a.x\ufffd`, 'is a key with half of a surrogate pair'],
] as const;
/** All that is exact, to the last number and character. */
const SOUND = `{${ID},"${FREE}":{"a":[9007199254740991,-9007199254740991,0.1,1e-300,"\\ud83d\\ude80"],"🚀":0}}`;

interface Refusal {
  readonly code: unknown;
  readonly issues: unknown;
}
/** Publishes an event with the data, and says how it was refused; undefined when it was stored. */
type Surface = (gateway: TestGateway, data: string) => Promise<Refusal | undefined>;

const draftOf = (data: string) => `{"type":"${TYPE}","channel":"${CHANNEL}","data":${data}}`;
const tokenOf = (gateway: TestGateway) => gateway.token(worker.service, 'service');
const thrown = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: Refusal) => error,
  );

async function post(gateway: TestGateway, path: string, body: string): Promise<unknown> {
  const headers = { authorization: `Bearer ${await tokenOf(gateway)}`, 'content-type': 'application/json' };
  return (await fetch(gateway.url + path, { method: 'POST', headers, body })).json();
}

interface TrpcAnswer {
  readonly error?: { readonly json: { readonly data: Refusal } };
}
const refusalOf = (answer: unknown) => (answer as TrpcAnswer).error?.json.data;

/** A call over tRPC's WebSocket, with its input as it is sent. */
async function overWebSocket(gateway: TestGateway, path: string, input: string): Promise<Refusal | undefined> {
  const headers = { authorization: `Bearer ${await tokenOf(gateway)}` };
  await using socket = await openSocket(`${gateway.url.replace('http', 'ws')}/trpc`, { headers });
  socket.send(`{"id":1,"method":"mutation","params":{"path":"${path}","input":{"json":${input}}}}`);
  const [answer = ''] = await socket.count(1);
  return refusalOf(JSON.parse(answer));
}

async function withClient<T>(gateway: TestGateway, use: (client: CourierClient<TradeContract>) => Promise<T>): Promise<T> {
  await using client = clientOf({ url: gateway.url, token: await tokenOf(gateway) });
  return await use(client);
}

/** A caller in the gateway's own process. */
function callerIn({ pipeline }: TestGateway) {
  const principal: Principal = principalOf(contract, worker.service, 'service', { subscribe: [], publish: [] }, Number.MAX_SAFE_INTEGER);
  const connection = { principal, charge: () => undefined, assertOpen: () => undefined };
  const parts = {
    connection,
    pipeline,
    administration: undefined,
    failures: undefined,
    connectionId: undefined,
    requestId: 'r',
    traceparent: undefined,
  };
  return createRouter(contract).createCaller(new Context(parts as never));
}
const issuesOf = (error: unknown) => {
  const { cause } = error as { cause?: Refusal };
  return cause ?? (error as Refusal);
};

const SINGLE: Readonly<Record<string, Surface>> = {
  'tRPC over WebSocket': (gateway, data) => overWebSocket(gateway, 'events.publish', draftOf(data)),
  'tRPC over HTTP': async (gateway, data) => refusalOf(await post(gateway, '/trpc/events.publish', `{"json":${draftOf(data)}}`)),
  'one of several publishes in a call': async (gateway, data) => {
    const drafts = `{"json":[${draftOf(SOUND)},${draftOf(data)}]}`;
    const answer = (await post(gateway, '/trpc/events.publishEach', drafts)) as { result: { data: { json: { error?: Refusal }[] } } };
    expect(answer.result.data.json[0]?.error).toBeUndefined();
    return answer.result.data.json[1]?.error;
  },
  'a batch of calls over HTTP': async (gateway, data) => {
    const calls = `{"0":{"json":${draftOf(SOUND)}},"1":{"json":${draftOf(data)}}}`;
    const answers = (await post(gateway, '/trpc/events.publish,events.publish?batch=1', calls)) as unknown[];
    expect(refusalOf(answers[0])).toBeUndefined();
    return refusalOf(answers[1]);
  },
  'the procedure of a service': (gateway, data) => overWebSocket(gateway, `${worker.service}.publish`, draftOf(data)),
  'POST /publish': async (gateway, data) => {
    const answer = (await post(gateway, '/publish', draftOf(data))) as Refusal & { readonly id?: string };
    return answer.id === undefined ? answer : undefined;
  },
  'a caller in the process': (gateway, data) =>
    thrown(callerIn(gateway).events.publish(JSON.parse(draftOf(data)) as never)).then((error) => error && issuesOf(error)),
  'the client': (gateway, data) => withClient(gateway, (client) => thrown(client.publish(CHANNEL, TYPE, JSON.parse(data)))),
  'the publisher in the background': (gateway, data) =>
    withClient(gateway, async (client) => {
      let refused: CourierError | undefined;
      await using publisher = new BackgroundPublisher(client, {
        onError: (error) => {
          refused = error;
        },
      });
      publisher.submit(JSON.parse(draftOf(data)));
      await publisher.flush();
      return refused;
    }),
};
/** The same as the second event of a list. */
const LISTED: Readonly<Record<string, Surface>> = {
  'publishBatch over WebSocket': (gateway, data) => overWebSocket(gateway, 'events.publishBatch', `[${draftOf(SOUND)},${draftOf(data)}]`),
  'publishBatch over HTTP': async (gateway, data) =>
    refusalOf(await post(gateway, '/trpc/events.publishBatch', `{"json":[${draftOf(SOUND)},${draftOf(data)}]}`)),
};

async function storedIn(gateway: TestGateway): Promise<string[]> {
  const response = await fetch(`${gateway.url}/events/**`, {
    headers: { authorization: `Bearer ${await gateway.token('root', 'admin')}` },
  });
  const { events } = (await response.json()) as { events: { data: unknown }[] };
  return events.map(({ data }) => JSON.stringify(data));
}

describe.each([
  ...Object.entries(SINGLE).map(([name, send]) => ({ name, send, prefix: 'data' })),
  ...Object.entries(LISTED).map(([name, send]) => ({ name, send, prefix: '1.data' })),
])('by $name', ({ send, prefix }) => {
  test.each(FAULTS)('%s', async (_name, data, path, message) => {
    await using gateway = await startGateway();
    expect(await send(gateway, data)).toMatchObject({ code: 'BAD_REQUEST', issues: [{ path: `${prefix}.${path}`, message }] });
    expect(await storedIn(gateway)).not.toContain(JSON.stringify(JSON.parse(data)));
  });

  test('what is exact arrives as it was sent', async () => {
    await using gateway = await startGateway();
    expect(await send(gateway, SOUND)).toBeUndefined();
    expect(new Set(await storedIn(gateway))).toEqual(new Set([JSON.stringify(JSON.parse(SOUND))]));
  });
});

describe('by the command line', () => {
  const publishing = (gateway: TestGateway, args: readonly string[], input?: string) =>
    runCli(['publish', ...args], { ...env, COURIER_URL: gateway.url, COURIER_JWT_SECRET: SECRET }, input);

  test('from an argument, from lines and from a file, with the line', async () => {
    using folder = temporaryFolder();
    await using gateway = await startGateway();
    const [, number] = FAULTS[2];
    const [, text] = FAULTS[5];
    writeFileSync(folder.file('events.jsonl'), `${draftOf(SOUND)}\n${draftOf(text)}\n`);
    await using argument = publishing(gateway, [CHANNEL, TYPE, number]);
    await using lines = publishing(gateway, [CHANNEL, TYPE], `${SOUND}\n${number}\n`);
    await using file = publishing(gateway, ['--file', folder.file('events.jsonl')]);
    expect([await argument.exit, await lines.exit, await file.exit]).toEqual([1, 1, 1]);
    expect(argument.stderr.at(-1)).toBe(`courier: data is not a valid event: data.${FREE}.a.1.1: ${NUMBER}`);
    expect(lines.stderr.at(-1)).toBe(`courier: line 2 is not a valid event: data.${FREE}.a.1.1: ${NUMBER}`);
    expect(file.stderr.at(-1)).toBe(`courier: line 2 is not a valid event: data.${FREE}.a.1: ${TEXT}`);
    expect(await storedIn(gateway)).toEqual(Array(2).fill(JSON.stringify(JSON.parse(SOUND))));
  });
});

test('the client says where a bigint stands', async () => {
  await using gateway = await startGateway();
  await withClient(gateway, async (client) => {
    const error = await thrown(client.publish(CHANNEL, TYPE, worker.named('j', { [FREE]: { list: [{ id: 1n }] } })));
    expect(error).toBeInstanceOf(CourierError);
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      issues: [{ path: `data.${FREE}.list.0.id`, message: 'must be JSON, not bigint' }],
    });
  });
});

test('no answer has half of a surrogate pair, which clients in other languages cannot print', async () => {
  await using gateway = await startGateway();
  const body = `{"type":"${TYPE}","channel":"${CHANNEL}","data":{${ID}},"metadata":{"x\\ud83d":1,"${'y'.repeat(190)}🚀":1}}`;
  const { issues } = (await post(gateway, '/publish', body)) as { issues: { path: string }[] };
  expect(issues.map(({ path }) => path)).toEqual(['metadata.x\ufffd', `metadata.${'y'.repeat(190)}\ufffd…`]);
  expect(JSON.stringify(issues)).not.toContain('\\ud');
});
