/** The events of one piece of work, read by any of them or by its correlation id: on both surfaces, with every log. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { newDatabase } from '../helpers/databases.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway, type TestGateway, traveller } from '../helpers/trade.ts';

interface Step {
  readonly event: { readonly id: string; readonly channel: string; readonly metadata: { readonly correlation_id: string } };
  readonly stored_at: string | null;
  readonly after_cause_ms: number | null;
}
interface Page {
  readonly correlation_id: string;
  readonly steps: readonly Step[];
  readonly hidden: number;
  readonly next: string;
  readonly has_more: boolean;
  readonly is_partial: boolean;
}

async function get(gateway: TestGateway, path: string, token?: string): Promise<{ status: number; body: Page & { code: string } }> {
  const authorization = `Bearer ${token ?? (await gateway.token('root', 'admin'))}`;
  const response = await fetch(`${gateway.url}/trace/${path}`, { headers: { authorization } });
  return { status: response.status, body: (await response.json()) as Page & { code: string } };
}

async function publish(gateway: TestGateway, id: string, metadata: object = {}): Promise<string> {
  const client = gateway.httpClient(await gateway.token('root', 'admin'));
  return (await client.events.publish.mutate({ ...traveller.begin(id), metadata })).id;
}

const idsOf = ({ steps }: Page) => steps.map(({ event }) => event.id);

const LOGS = [
  ['memory', () => Promise.resolve('memory:')],
  ['SQLite', undefined],
  ['PostgreSQL', newDatabase],
] as const;

describe.each(LOGS)('in %s', (_, address) => {
  test('a piece of work is what belongs to it, what that has caused, and what led to it', async () => {
    using folder = temporaryFolder();
    const log = address === undefined ? `sqlite:${folder.file('log.db')}` : await address();
    await using gateway = await startGateway({ COURIER_LOG: log });
    const before = await publish(gateway, 'b0');
    const other = await publish(gateway, 'b0', { causation_id: before });
    const first = await publish(gateway, 's1', { correlation_id: 'run-7', causation_id: before });
    const second = await publish(gateway, 's2', { correlation_id: 'run-7', causation_id: first });
    // Of another piece of work, as its publisher says it.
    const caused = await publish(gateway, 's3', { correlation_id: 'audit', causation_id: second });
    const later = await publish(gateway, 's3', { correlation_id: 'audit', causation_id: caused });
    await publish(gateway, 's3', { correlation_id: 'audit' });
    const all = [before, first, second, caused, later];
    const { status, body } = await get(gateway, 'run-7');
    expect([status, body.correlation_id, idsOf(body)]).toEqual([200, 'run-7', all]);
    expect(body).toMatchObject({ hidden: 0, has_more: false, is_partial: false, next: later });
    for (const { event, stored_at, after_cause_ms } of body.steps) {
      expect(Math.abs(Date.parse(stored_at as string) - Date.now())).toBeLessThan(60_000);
      expect(after_cause_ms).toEqual(event.id === before ? null : expect.any(Number));
    }
    // By any of its events, and where it begins with one that names none, by that one's.
    for (const id of [first, second]) expect((await get(gateway, id)).body).toEqual(body);
    expect(idsOf((await get(gateway, before)).body)).toEqual([before, other, first, second, caused, later]);
    expect(idsOf((await get(gateway, 'audit')).body)).toHaveLength(6);
    // Over tRPC the same, with dates.
    const client = gateway.httpClient(await gateway.token('root', 'admin'));
    const page = await client.events.trace.query({ correlation_id: 'run-7' });
    expect(JSON.parse(JSON.stringify(page))).toEqual(body);
    expect(page.steps[0]?.stored_at).toBeInstanceOf(Date);
    expect(page.steps[0]?.event.metadata.timestamp).toBeInstanceOf(Date);
  });
});

test('pages are as long as was asked for, and together are all of it', async () => {
  await using gateway = await startGateway();
  const ids = [await publish(gateway, 's1')];
  for (let n = 1; n < 7; n += 1) ids.push(await publish(gateway, 's1', { correlation_id: ids[0], causation_id: ids.at(-1) }));
  const read: string[] = [];
  for (let after = ''; ; ) {
    const { body } = await get(gateway, `${ids[0]}?limit=3${after && `&after=${after}`}`);
    expect(body.steps.length).toBeLessThanOrEqual(3);
    read.push(...idsOf(body));
    after = body.next;
    if (!body.has_more) break;
  }
  expect(read).toEqual(ids);
});

test('whoever may not read a channel is told how much there is that they may not read, and nothing of it', async () => {
  await using gateway = await startGateway();
  const secret = await publish(gateway, 'secret', { correlation_id: 'run' });
  const shown = await publish(gateway, 's1', { correlation_id: 'run', causation_id: secret });
  await publish(gateway, 'secret', { correlation_id: 'run', causation_id: shown });
  const token = await gateway.token('ada', 'user', { subscribe: [traveller.channel('s1')] });
  const { body } = await get(gateway, 'run', token);
  expect([idsOf(body), body.hidden]).toEqual([[shown], 2]);
  expect(JSON.stringify(body)).not.toContain(traveller.channel('secret'));
  expect(await get(gateway, secret, token)).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
  expect((await get(gateway, shown, token)).body).toEqual(body);
});

test('an event that is no longer retained has what came of it', async () => {
  await using gateway = await startGateway();
  const first = await publish(gateway, 's1');
  const second = await publish(gateway, 's1', { causation_id: first });
  await expect
    .poll(
      async () => {
        // States are stored before their events go.
        await gateway.pipeline.log.trim(-1000, 1);
        return (await gateway.pipeline.log.bounds()).first;
      },
      { timeout: 10_000 },
    )
    .toBe(2);
  const { body } = await get(gateway, first);
  expect([body.correlation_id, idsOf(body)]).toEqual([first, [second]]);
  expect(body.steps[0]?.after_cause_ms).toBeNull();
});

test.each([
  ['nothing', '', 400, 'BAD_REQUEST', 'correlation_id'],
  ['a position of another log', 'other-1', 404, 'NOT_FOUND'],
  ['an id that is none', 'a%20b', 400, 'BAD_REQUEST', 'correlation_id'],
  ['a limit that is none', 'run?limit=0', 400, 'BAD_REQUEST', 'limit'],
  ['a position that is none', 'run?after=x', 400, 'BAD_REQUEST', 'after'],
  ['a parameter that there is not', 'run?before=x', 400, 'BAD_REQUEST', 'before'],
])('%s is refused', async (_name, path, status, code, field?: string) => {
  await using gateway = await startGateway();
  const refused = await get(gateway, path);
  expect(refused).toMatchObject({ status, body: { code } });
  if (field !== undefined) expect(JSON.stringify(refused.body)).toContain(`"path":"${field}"`);
});

test('over tRPC neither an id nor a correlation id, or both, is refused', async () => {
  await using gateway = await startGateway();
  const client = gateway.httpClient(await gateway.token('root', 'admin'));
  for (const input of [{}, { id: 'a-1', correlation_id: 'x' }])
    await expect(client.events.trace.query(input)).rejects.toMatchObject({ data: { code: 'BAD_REQUEST', issues: [{ path: 'id' }] } });
  expect(await client.events.trace.query({ correlation_id: 'nobody' })).toMatchObject({ steps: [], hidden: 0, has_more: false });
});

test('what is read is what a plain search of the log finds', async () => {
  await using gateway = await startGateway();
  const made: { readonly id: string; readonly work: string; readonly cause: number | undefined }[] = [];
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ own: fc.option(fc.constantFrom('w1', 'w2', 'w3')), back: fc.option(fc.nat(12)) }), { maxLength: 8 }),
      fc.nat(),
      async (drafts, pick) => {
        for (const { own, back } of drafts) {
          const cause = back === null || back >= made.length ? undefined : made.length - 1 - back;
          const causation_id = cause === undefined ? undefined : made[cause]?.id;
          const id = await publish(gateway, 'b0', { ...(own && { correlation_id: own }), ...(causation_id && { causation_id }) });
          made.push({ id, work: own ?? causation_id ?? id, cause });
        }
        if (made.length === 0) return;
        const asked = made[pick % made.length] as (typeof made)[number];
        const found = new Set(made.flatMap(({ work, id }, index) => (work === asked.work || id === asked.work ? [index] : [])));
        for (let size = -1; size !== found.size; ) {
          size = found.size;
          for (const [index, { cause }] of made.entries()) if (cause !== undefined && found.has(cause)) found.add(index);
        }
        for (const index of [...found])
          for (let cause = made[index]?.cause; cause !== undefined; cause = made[cause]?.cause) found.add(cause);
        const expected = [...found].sort((a, b) => a - b).map((index) => made[index]?.id);
        expect(idsOf((await get(gateway, asked.id)).body)).toEqual(expected);
      },
    ),
    { numRuns: 40 },
  );
});
