/** Without tRPC: plain HTTP and plain WebSocket, as curl and a Python script would use them. */
import { describe, expect, test } from 'vitest';
import { idIn } from '../../src/contract/channels.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { startGateway, stranger, type TestGateway, traveller, worker } from '../helpers/trade.ts';

const { type: MEASURED, field: FRACTION } = traveller.measured;
const BEGUN = traveller.begun;
const DRAFT = traveller.measure();
const { channel: CHANNEL, data: DATA } = DRAFT;

async function post(gateway: TestGateway, path: string, body: unknown, headers: Record<string, string> = {}) {
  const authorization = `Bearer ${await gateway.token(traveller.service, 'service')}`;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(gateway.url + path, {
    method: 'POST',
    headers: { authorization, ...headers },
    body: new Blob([text], { type: 'application/json' }),
  });
  return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) };
}

async function get(gateway: TestGateway, path: string, token?: string) {
  const response = await fetch(gateway.url + path, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
  return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) };
}

/** The traveller's first type on channels of its homes and others. */
const beginOn = (...channels: readonly string[]) =>
  channels.map((channel) => ({ ...traveller.begin(channel.startsWith(traveller.family) ? idIn(channel) : 'b1'), channel }));

const webSocketUrl = (gateway: TestGateway, path: string) => gateway.url.replace('http', 'ws') + path;

/** Lists of channels that `u1`, a user, is refused, with what is said of which entry. */
const BAD_LISTS: [what: string, list: string, code: string, detail: RegExp][] = [
  ['a malformed entry', 'global,a..b,user.u1', 'BAD_REQUEST', /^"a\.\.b" is neither a channel nor a pattern/],
  ['an entry that can match nothing', 'global,trades.*', 'BAD_REQUEST', /^"trades\.\*" can match no channel/],
  ['an empty entry', 'global,,user.u1', 'BAD_REQUEST', /^"" is neither a channel nor a pattern/],
  ['a space', 'global,%20user.u1', 'BAD_REQUEST', /^" user\.u1" is neither a channel nor a pattern/],
  [
    'an entry that is not granted',
    `user.u1,${stranger.channel('s1')},global`,
    'FORBIDDEN',
    new RegExp(`^user "u1" may not subscribe to ${stranger.channel('s1')}$`),
  ],
  ['more than 100 entries', Array(101).fill('global').join(), 'BAD_REQUEST', /^must be at most 100 channels and patterns, not 101$/],
];

describe('publishing', () => {
  test('with the channel in the path and the type in a header', async () => {
    await using gateway = await startGateway();
    const answer = await post(gateway, `/publish/${CHANNEL}`, { data: DATA }, { 'x-event-type': MEASURED, 'x-request-id': 'req-1' });
    expect(answer).toMatchObject({ status: 201, body: { channel: CHANNEL, type: MEASURED, duplicate: false } });
    expect(answer.body.id).toMatch(/^[a-z0-9]+-1$/);
    expect(new Date(answer.body.timestamp).toISOString()).toBe(answer.body.timestamp);
    expect(answer.headers.get('x-request-id')).toBe('req-1');
  });

  test('with everything in the body, and the headers for what the body leaves out', async () => {
    await using gateway = await startGateway();
    const draft = {
      ...DRAFT,
      metadata: { timestamp: '2026-01-02T03:04:05+01:00', user_id: 'u1' },
    };
    const headers = { 'x-correlation-id': 'run-1', 'idempotency-key': 'k1' };
    const first = await post(gateway, '/publish', draft, headers);
    const second = await post(gateway, '/publish', draft, headers);
    expect(second).toMatchObject({ status: 201, body: { ...first.body, duplicate: true } });
    const { body } = await get(gateway, `/events/${CHANNEL}`, await gateway.token('reader', 'service'));
    expect(body).toEqual({
      events: [
        {
          id: first.body.id,
          channel: CHANNEL,
          type: MEASURED,
          metadata: { timestamp: '2026-01-02T02:04:05.000Z', source: traveller.service, correlation_id: 'run-1', user_id: 'u1' },
          data: DATA,
        },
      ],
      next: first.body.id,
      has_more: false,
      gap: null,
    });
  });

  test.each<[string, string, unknown, Record<string, string>, number, string, object | undefined]>([
    ['malformed JSON', '/publish', '{"channel":', {}, 400, 'PARSE_ERROR', undefined],
    ['no object', '/publish', '[1]', {}, 400, 'BAD_REQUEST', undefined],
    ['an unknown type', '/publish/global', { type: 'nope', data: {} }, {}, 400, 'BAD_REQUEST', { path: 'type' }],
    ['an unknown key', `/publish/${CHANNEL}`, { type: MEASURED, data: { ...DATA, x: 1 } }, {}, 400, 'BAD_REQUEST', { path: 'data.x' }],
    [
      'a wrong field',
      `/publish/${CHANNEL}`,
      { type: MEASURED, data: { ...DATA, [FRACTION]: 2 } },
      {},
      400,
      'BAD_REQUEST',
      { path: `data.${FRACTION}` },
    ],
    [
      'a channel outside the grammar',
      `/publish/${traveller.family.slice(0, 4)} ${traveller.family.slice(4)}.b1`,
      { type: MEASURED, data: DATA },
      {},
      400,
      'BAD_REQUEST',
      { path: 'channel' },
    ],
    [
      'a channel that may not carry it',
      `/publish/${worker.channel('j')}`,
      { type: MEASURED, data: DATA },
      {},
      400,
      'BAD_REQUEST',
      { path: 'channel' },
    ],
    ['two channels', '/publish/global', DRAFT, {}, 400, 'BAD_REQUEST', { path: 'channel' }],
    ['two types', '/publish/global', { type: MEASURED, data: DATA }, { 'x-event-type': BEGUN }, 400, 'BAD_REQUEST', { path: 'type' }],
    ["another service's type", '/publish/global', { type: worker.noted.type, data: worker.note().data }, {}, 403, 'FORBIDDEN', undefined],
    [
      'the key __proto__',
      `/publish/${CHANNEL}`,
      `{"type":"${MEASURED}","data":{"${traveller.idField}":"b1","${FRACTION}":0,"__proto__":{}}}`,
      {},
      400,
      'BAD_REQUEST',
      { path: 'data.__proto__' },
    ],
    ['too large a body', '/publish', `"${'x'.repeat(200 * 1024)}"`, {}, 413, 'PAYLOAD_TOO_LARGE', undefined],
    ['an address that is no URL encoding', '/publish/%ff', {}, {}, 400, 'BAD_REQUEST', undefined],
  ])('%s is a problem document, and nothing is stored', async (_name, path, body, headers, status, code, issue) => {
    await using gateway = await startGateway();
    const answer = await post(gateway, path, body, headers);
    expect(answer).toMatchObject({ status, body: { status, code, detail: expect.any(String), request_id: expect.any(String) } });
    expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    if (issue !== undefined) expect(answer.body.issues).toEqual([expect.objectContaining(issue)]);
    const stats = await get(gateway, '/stats', await gateway.token('root', 'admin'));
    expect(stats.body.log.events).toBe(0);
  });

  test('data over 100 KiB is refused on every way in', async () => {
    await using gateway = await startGateway();
    const big = worker.report({ text: 'é'.repeat(52_000) });
    const token = await gateway.token(worker.service, 'service');
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const plain = await fetch(`${gateway.url}/publish`, { method: 'POST', headers, body: JSON.stringify(big) });
    expect([plain.status, await plain.json()]).toMatchObject([413, { code: 'PAYLOAD_TOO_LARGE', issues: [{ path: 'data' }] }]);
    await using client = gateway.webSocketClient(token);
    await expect(worker.over(client.trpc).publish.mutate(big)).rejects.toMatchObject({
      data: { code: 'PAYLOAD_TOO_LARGE', issues: [{ path: 'data' }] },
    });
    expect(await client.trpc.auth.whoami.query()).toMatchObject({ sub: worker.service });
  });
});

describe('reading', () => {
  test('pages, types and positions', async () => {
    await using gateway = await startGateway();
    for (const fraction of [0, 0.1, 0.2]) await post(gateway, '/publish', traveller.measure(fraction));
    await post(gateway, '/publish', traveller.begin());
    const token = await gateway.token('reader', 'service');
    const first = await get(gateway, `/events/${traveller.all}?limit=2`, token);
    expect(first.body.events).toHaveLength(2);
    expect(first.body).toMatchObject({ has_more: true, gap: null });
    const second = await get(gateway, `/events/${traveller.all}?limit=2&after=${first.body.next}&types=${BEGUN}`, token);
    expect(second.body.events.map(({ type }: { type: string }) => type)).toEqual([BEGUN]);
    expect(second.body.has_more).toBe(false);
    const epoch = first.body.next.split('-')[0];
    expect((await get(gateway, `/events/**?after=${epoch}-99`, token)).body).toMatchObject({
      events: [],
      gap: { reason: 'ahead', requested: `${epoch}-99`, resumed_from: `${epoch}-4` },
    });
    expect((await get(gateway, '/events/**?after=another-3', token)).body).toMatchObject({
      gap: { reason: 'epoch', resumed_from: `${epoch}-0` },
    });
  });

  test.each([
    ['/events/**?after=garbage', 400, 'after'],
    ['/events/**?order=newest&before=garbage', 400, 'before'],
    ['/events/**?before=epoch-3', 400, 'before'],
    ['/events/**?order=oldest&before=epoch-3', 400, 'before'],
    ['/events/**?order=newest&after=epoch-3', 400, 'after'],
    ['/events/**?order=sideways', 400, 'order'],
    ['/events/**?limit=0', 400, 'limit'],
    ['/events/**?types=nope', 400, 'types.0'],
    ['/events/**?surprise=1', 400, 'surprise'],
    ['/events/a..b', 400, 'channels'],
  ])('%s is refused', async (path, status, field) => {
    await using gateway = await startGateway();
    const answer = await get(gateway, path, await gateway.token('reader', 'service'));
    expect(answer).toMatchObject({ status, body: { code: 'BAD_REQUEST', issues: [{ path: field }] } });
  });

  test('the newest first it begins at the head, and ends with the first event', async () => {
    await using gateway = await startGateway();
    const token = await gateway.token('reader', 'service');
    const newest = async (query = '') => (await get(gateway, `/events/${traveller.all}?order=newest${query}`, token)).body;
    const empty = await newest();
    expect(empty).toEqual({ events: [], next: expect.stringMatching(/-0$/), has_more: false, gap: null });
    expect(await newest(`&before=${empty.next}`)).toEqual(empty);
    const ids: string[] = [];
    for (const draft of beginOn(CHANNEL, traveller.channel('b2'), 'global', CHANNEL, stranger.channel('s1'))) {
      const receipt = await post(gateway, '/publish', draft);
      ids.push(receipt.body.id);
    }
    const idsOf = ({ events }: { events: { id: string }[] }) => events.map(({ id }) => id);
    const first = await newest('&limit=2');
    expect(idsOf(first)).toEqual([ids[3], ids[1]]);
    expect(first).toMatchObject({ next: ids[1], has_more: true, gap: null });
    const last = await newest(`&limit=2&before=${first.next}`);
    expect(idsOf(last)).toEqual([ids[0]]);
    expect(last).toMatchObject({ has_more: false, gap: null });
    expect(await newest(`&before=${last.next}`)).toMatchObject({ events: [], has_more: false, gap: null });
    expect(await newest(`&types=${traveller.failed}`)).toMatchObject({ events: [], has_more: false, gap: null });
  });

  test.each([
    ['another-1', 'epoch'],
    ['-99', 'ahead'],
  ])('the newest first before a position that is none of the log, %s, it begins at the head and says so', async (position, reason) => {
    await using gateway = await startGateway();
    for (let n = 0; n < 2; n += 1) await post(gateway, '/publish', traveller.begin());
    const token = await gateway.token('reader', 'service');
    const head = (await get(gateway, '/events/**', token)).body.next as string;
    const requested = position.startsWith('-') ? `${head.split('-')[0]}${position}` : position;
    const page = (await get(gateway, `/events/**?order=newest&limit=1&before=${requested}`, token)).body;
    expect(page).toMatchObject({ events: [{ id: head }], next: head, has_more: true, gap: { reason, requested, resumed_from: head } });
  });

  test('several channels and patterns are one read, in one order', async () => {
    await using gateway = await startGateway();
    const [first, second] = [stranger.channel('s1'), stranger.channel('s2')];
    for (const draft of beginOn(first, CHANNEL, second, 'global')) await post(gateway, '/publish', draft);
    const token = await gateway.token('reader', 'service');
    const channels = async (list: string) =>
      (await get(gateway, `/events/${list}`, token)).body.events.map(({ channel }: { channel: string }) => channel);
    expect(await channels(`global,${first},${traveller.all}`)).toEqual([first, CHANNEL, 'global']);
    expect(await channels('global,global')).toEqual(['global']);
    expect(await channels(encodeURIComponent(`${traveller.all},${second}`))).toEqual([CHANNEL, second]);
    expect(await channels(Array.from({ length: 100 }, (_, index) => stranger.channel(`s${index}`)).join())).toEqual([first, second]);
  });

  test.each(BAD_LISTS)('a list with %s is refused', async (_what, list, code, detail) => {
    await using gateway = await startGateway();
    const answer = await get(gateway, `/events/${list}`, await gateway.token('u1'));
    const status = code === 'FORBIDDEN' ? 403 : 400;
    expect(answer).toMatchObject({ status, body: { code, detail: expect.stringMatching(detail) } });
    if (status === 400) expect(answer.body.issues).toEqual([{ path: 'channels', message: answer.body.detail }]);
  });

  test('without a token it is 401, without the right 403, nowhere 404, with the wrong method 405', async () => {
    await using gateway = await startGateway();
    const none = await get(gateway, '/events/global');
    expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    const user = await gateway.token('u1');
    expect((await get(gateway, `/events/${stranger.channel('s')}`, user)).status).toBe(403);
    expect((await get(gateway, '/stats', user)).status).toBe(403);
    expect((await get(gateway, '/nowhere', user)).status).toBe(404);
    expect((await get(gateway, '/constructor', user)).status).toBe(404);
    const wrong = await get(gateway, '/publish', user);
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST']);
  });
});

test('health says how every part is, without a token', async () => {
  await using gateway = await startGateway();
  const answer = await get(gateway, '/health');
  expect(answer).toMatchObject({
    status: 200,
    body: {
      status: 'healthy',
      version: '0.1.0',
      components: { websocket_server: { connections: 0 }, event_log: { head: 0 }, broker: {}, memory: {} },
    },
  });
  expect((await get(gateway, '/livez')).status).toBe(200);
  expect((await get(gateway, '/readyz')).status).toBe(200);
});

describe('the plain WebSocket', () => {
  test('gives one JSON event a message, live and from a position', async () => {
    await using gateway = await startGateway();
    const token = await gateway.token('reader', 'service');
    await using live = await openSocket(webSocketUrl(gateway, `/ws/${traveller.all}?token=${token}`));
    await live.count(1);
    const { body: receipt } = await post(gateway, '/publish', DRAFT);
    await post(gateway, '/publish', traveller.measure(0, 'b2'));
    const events = (await live.count(3)).map((message) => JSON.parse(message));
    expect(events.map(({ type, channel }) => [type, channel])).toEqual([
      ['courier.live', 'courier'],
      [MEASURED, CHANNEL],
      [MEASURED, traveller.channel('b2')],
    ]);
    expect(events[1]).toEqual({
      id: receipt.id,
      channel: CHANNEL,
      type: MEASURED,
      metadata: { timestamp: receipt.timestamp, source: traveller.service, correlation_id: receipt.id },
      data: DATA,
    });
    await using resumed = await openSocket(webSocketUrl(gateway, `/ws/${traveller.all}?last_event_id=${receipt.id}`), {
      headers: { authorization: `Bearer ${token}` },
    });
    const again = (await resumed.count(2)).map((message) => JSON.parse(message));
    expect(again).toEqual([events[2], expect.objectContaining({ type: 'courier.live', data: { position: events[2].id, replayed: 1 } })]);
  });

  test('takes several channels and patterns, and gives each event once', async () => {
    await using gateway = await startGateway();
    const token = await gateway.token('reader', 'service');
    await using live = await openSocket(webSocketUrl(gateway, `/ws/global,${traveller.all},${CHANNEL}?token=${token}`));
    await live.count(1);
    const other = traveller.channel('b2');
    for (const draft of beginOn(CHANNEL, stranger.channel('s1'), other, 'global')) await post(gateway, '/publish', draft);
    const events = (await live.count(4)).map((message) => JSON.parse(message));
    expect(events.map(({ channel }) => channel)).toEqual(['courier', CHANNEL, other, 'global']);
  });

  test.each(BAD_LISTS)('a list with %s closes it', async (_what, list, code, reason) => {
    await using gateway = await startGateway();
    await using socket = await openSocket(webSocketUrl(gateway, `/ws/${list}?token=${await gateway.token('u1')}`));
    const closed = await socket.closed;
    expect(closed.code).toBe(code === 'FORBIDDEN' ? 1008 : 4400);
    expect(closed.reason.startsWith('forbidden: ')).toBe(code === 'FORBIDDEN');
    expect(closed.reason.replace('forbidden: ', '')).toMatch(reason);
  });

  test('the reason says first that a right is missing, as it is cut where the name of its caller is long', async () => {
    await using gateway = await startGateway();
    const token = await gateway.token('u'.repeat(128));
    await using socket = await openSocket(webSocketUrl(gateway, `/ws/${stranger.channel('s')}?token=${token}`));
    const { code, reason } = await socket.closed;
    expect([code, reason]).toEqual([1008, expect.stringMatching(/^forbidden: user "u{100,}…$/)]);
    expect(Buffer.byteLength(reason)).toBe(123);
  });

  test.each([
    ['no token', '/ws/global', 1008, /a token is required/],
    ['a bad token', '/ws/global?token=x', 1008, /not a signed JWT/],
    [
      'no right',
      `/ws/${stranger.channel('s')}?token=USER`,
      1008,
      new RegExp(`^forbidden: user "u1" may not subscribe to ${stranger.channel('s')}$`),
    ],
    ['a malformed channel', '/ws/a..b?token=USER', 4400, /neither a channel nor a pattern/],
    ['a position that is garbage', '/ws/global?token=USER&last_event_id=garbage', 4400, /"garbage" is not a position/],
    ['an unknown parameter', '/ws/global?token=USER&surprise=1', 4400, /surprise/],
  ])('%s closes it with a code and the reason', async (_name, path, code, reason) => {
    await using gateway = await startGateway();
    await using socket = await openSocket(webSocketUrl(gateway, path.replace('USER', await gateway.token('u1'))));
    expect(await socket.closed).toEqual({ code, reason: expect.stringMatching(reason) });
  });

  test('an upgrade elsewhere is refused', async () => {
    await using gateway = await startGateway();
    await expect(openSocket(webSocketUrl(gateway, '/elsewhere'))).rejects.toThrow(/404/);
  });
});
