/** The query of an address: each parameter counts once, wherever the gateway reads one. */
import { describe, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { openSocket } from '../helpers/raw-socket.ts';

const ONCE = 'must be given once';
const TOGETHER = `${ONCE}: several values go together, with commas between them`;

/** What is said of an address that has been refused, by the surface that it is of. */
const SURFACES: Readonly<Record<string, (gateway: TestGateway, target: string) => Promise<string>>> = {
  '/events/': answerOf,
  '/state/': answerOf,
  '/sse/': answerOf,
  '/ws/': async (gateway, target) => {
    const headers = { authorization: `Bearer ${await tokenOf(gateway)}` };
    await using socket = await openSocket(gateway.url.replace('http', 'ws') + target, { headers });
    const { code, reason } = await socket.closed;
    expect(code).toBe(4400);
    return reason;
  },
};
const tokenOf = (gateway: TestGateway) => gateway.token('reader', 'service');

async function answerOf(gateway: TestGateway, target: string): Promise<string> {
  const response = await fetch(gateway.url + target, { headers: { authorization: `Bearer ${await tokenOf(gateway)}` } });
  const { code, detail, issues } = (await response.json()) as { code: string; detail: string; issues: { path: string; message: string }[] };
  expect([response.status, code]).toEqual([400, 'BAD_REQUEST']);
  expect(issues.map(({ path, message }) => `${path}: ${message}`)).toEqual([detail]);
  return detail;
}

describe('a parameter that an address has twice is refused by its name', () => {
  const subscribing = [
    'from=now&from=now',
    'types=order.placed&types=order.filled',
    'last_event_id=x-1&last_event_id=x-2',
    'token=TOKEN&token=TOKEN',
  ];
  const watching = [
    'state=order&state=position',
    ...['key=o1&key=o2', 'open=true&open=false', 'max_per_second=1&max_per_second=2', 'last_event_id=x-1&last_event_id=x-2'].map(
      (query) => `state=order&${query}`,
    ),
    'state=order&state.symbol=SPX&state.symbol=NDX',
  ];
  const REPEATED: Readonly<Record<string, readonly string[]>> = {
    '/events/': [
      'order=oldest&order=newest',
      'after=x-1&after=x-2',
      'before=x-1&before=x-2',
      'limit=1&limit=2',
      'types=order.placed&types=order.filled',
    ],
    '/state/': [
      'entity=order&entity=position',
      'key=o1&key=o2',
      'open=true&open=false',
      'state.symbol=SPX&state.symbol=NDX',
      'limit=1&limit=2',
      'after=x-1&after=x-2',
      // However it is encoded, and whether or not there is such a parameter.
      '%65ntity=order&entity=order',
      '__proto__=1&__proto__=2',
      'surprise&surprise',
    ],
    '/sse/': [...subscribing, ...watching],
    '/ws/': [...subscribing, ...watching],
  };
  const LISTS = ['types', 'entity', 'state', 'key', 'state.symbol'];
  const cases = Object.entries(REPEATED).flatMap(([prefix, queries]) =>
    queries.map((query) => [`${prefix}global`, query, prefix] as const),
  );
  test.each(cases)('%s?%s', async (path, query, prefix) => {
    await using gateway = await startGateway();
    const name = decodeURIComponent(query.slice(query.lastIndexOf('&') + 1).replace(/=.*/, ''));
    const asked = query.replace('TOKEN', await tokenOf(gateway));
    expect(await SURFACES[prefix]?.(gateway, `${path}?${asked}`)).toBe(`${name}: ${LISTS.includes(name) ? TOGETHER : ONCE}`);
  });

  test.each(['input={}&input={}', 'connectionParams={}&connectionParams={}', 'batch=1&batch=1', 'lastEventId=x-1&lastEventId=x-2'])(
    'tRPC over HTTP, ?%s',
    async (query) => {
      await using gateway = await startGateway();
      const name = query.replace(/=.*/, '');
      for (const procedure of ['state.get', 'events.subscribe']) {
        const response = await fetch(`${gateway.url}/trpc/${procedure}?${query}`);
        expect([response.status, await response.text()]).toEqual([400, expect.stringContaining(`"issues":[{"path":"${name}"`)]);
      }
    },
  );

  test('tRPC over WebSocket', async () => {
    await using gateway = await startGateway();
    const target = `${gateway.url.replace('http', 'ws')}/trpc?connectionParams=1&connectionParams=0`;
    await expect(openSocket(target)).rejects.toThrow(/400/);
  });
});

test.each(['/events/global?__proto__=1', '/state/global?__proto__=1', '/sse/global?__proto__=1', '/ws/global?__proto__=1'])(
  'a parameter of a name that objects have themselves is one that there is not: %s',
  async (target) => {
    await using gateway = await startGateway();
    expect(await SURFACES[target.slice(0, target.indexOf('/', 1) + 1)]?.(gateway, target)).toBe('__proto__: is not a known key');
  },
);
