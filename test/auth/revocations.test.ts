/** Revocations: whose tokens they refuse, from when until when, and that they outlive a restart wherever they are kept. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import { createDatabase } from '../../scripts/servers.ts';
import { type Principal, principalOf } from '../../src/auth/principal.ts';
import { type RevocationStore, Revocations } from '../../src/auth/revocations.ts';
import { revocationFile } from '../../src/auth/revocations-file.ts';
import { postgresRevocations } from '../../src/auth/revocations-postgres.ts';
import type { Role } from '../../src/contract/admin.ts';
import { openPostgresLog } from '../../src/log/postgres.ts';
import { execute, WITHOUT_FORMS } from '../helpers/databases.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { contract } from '../helpers/lumiere.ts';

const TOLERANCE_MS = 5000;
const MAX_LIFETIME_MS = 24 * 60 * 60 * 1000;
const KEPT_MS = MAX_LIFETIME_MS + 2 * TOLERANCE_MS;
const NOW = Date.parse('2026-06-01T12:00:00.250Z');

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW });
});
afterEach(() => {
  vi.useRealTimers();
});

const later = (ms: number) => vi.setSystemTime(Date.now() + ms);

/** Who has a token that was issued so many ms from now. */
function holder(sub: string, role: Role, { issuedInMs = 0, jti }: { issuedInMs?: number | undefined; jti?: string } = {}): Principal {
  const principal = principalOf(contract, sub, role, { subscribe: [], publish: [] }, Date.now() + MAX_LIFETIME_MS);
  return { ...principal, issuedAt: Date.now() + issuedInMs, ...(jti !== undefined && { jti }) };
}

interface Place extends AsyncDisposable {
  /** As another process would open it. */
  readonly open: () => Promise<Revocations>;
  /** How many it holds. */
  readonly count: () => Promise<number>;
}

async function inFile(): Promise<Place> {
  const folder = temporaryFolder();
  const path = folder.file('data/revocations.json');
  return {
    open: () => Revocations.open(revocationFile(path), MAX_LIFETIME_MS),
    count: async () => (JSON.parse(readFileSync(path, 'utf8')) as unknown[]).length,
    [Symbol.asyncDispose]: async () => folder[Symbol.dispose](),
  };
}

async function inPostgres(): Promise<Place> {
  const log = await openPostgresLog({ url: await createDatabase(inject('postgresUrl')) });
  const { database } = log;
  return {
    open: () => Revocations.open(postgresRevocations(database), MAX_LIFETIME_MS),
    count: async () => (await database.query({ name: 'count', text: 'SELECT FROM courier_revocation' })).length,
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  };
}

describe.each([
  ['a file', inFile],
  ['PostgreSQL', inPostgres],
])('kept in %s', (_name, factory) => {
  test('refuse every role of a sub, one role of it, or one token', async () => {
    await using place = await factory();
    const revocations = await place.open();
    await revocations.add({ sub: 'ada' });
    await revocations.add({ sub: 'forge', role: 'service' });
    await revocations.add({ jti: 'lost' });
    for (const one of [revocations, await place.open()]) {
      for (const role of ['user', 'service', 'admin'] as const) {
        expect([role, one.has(holder('ada', role))]).toEqual([role, true]);
        expect([role, one.has(holder('forge', role))]).toEqual([role, role === 'service']);
        expect([role, one.has(holder('eve', role, { jti: 'lost' }))]).toEqual([role, true]);
        expect([role, one.has(holder('eve', role, { jti: 'ada' }))]).toEqual([role, false]);
        expect([role, one.has(holder('lost', role))]).toEqual([role, false]);
      }
    }
  });

  test('the last one counts, whichever it is of', async () => {
    await using place = await factory();
    const revocations = await place.open();
    await revocations.add({ sub: 'ada', role: 'user' });
    later(60_000);
    const [user, admin] = [holder('ada', 'user'), holder('ada', 'admin')];
    expect([revocations.has(user), revocations.has(admin)]).toEqual([false, false]);
    await revocations.add({ sub: 'ada', role: 'admin' });
    expect([revocations.has(user), revocations.has(admin)]).toEqual([false, true]);
    await revocations.add({ sub: 'ada' });
    for (const one of [revocations, await place.open()]) expect([one.has(user), one.has(admin)]).toEqual([true, true]);
  });

  test('are kept until every token that they concern has expired, and no longer', async () => {
    await using place = await factory();
    const revocations = await place.open();
    await revocations.add({ sub: 'ada' });
    await revocations.add({ jti: 'lost' });
    const concerned = [holder('ada', 'user', { issuedInMs: TOLERANCE_MS }), holder('eve', 'user', { jti: 'lost' })];
    later(KEPT_MS - 1);
    await revocations.add({ sub: 'other' });
    for (const one of [revocations, await place.open()]) expect(concerned.map((principal) => one.has(principal))).toEqual([true, true]);
    expect(await place.count()).toBe(3);
    later(1);
    await revocations.add({ sub: 'another' });
    for (const one of [revocations, await place.open()]) expect(concerned.map((principal) => one.has(principal))).toEqual([false, false]);
    expect(await place.count()).toBe(2);
  });
});

test('tokens are refused that were issued until 5 s later, by a clock that may be ahead, and those that do not say when', async () => {
  const revocations = await Revocations.open(revocationFile(undefined), MAX_LIFETIME_MS);
  await revocations.add({ sub: 'ada' });
  for (const issuedInMs of [-MAX_LIFETIME_MS, 0, TOLERANCE_MS]) expect(revocations.has(holder('ada', 'user', { issuedInMs }))).toBe(true);
  expect(revocations.has(holder('ada', 'user', { issuedInMs: TOLERANCE_MS + 1 }))).toBe(false);
  later(MAX_LIFETIME_MS);
  const { issuedAt: _unsaid, ...silent } = holder('ada', 'user');
  expect([revocations.has(silent), revocations.has({ ...silent, sub: 'eve' })]).toEqual([true, false]);
});

test('of two of the same the later counts, in whichever order they are found', async () => {
  const [early, late] = [NOW - 60_000, NOW];
  for (const ats of [
    [early, late],
    [late, early],
  ]) {
    const store: RevocationStore = { load: async () => ats.map((at) => ({ sub: 'ada', at })), add: async () => undefined };
    const revocations = await Revocations.open(store, MAX_LIFETIME_MS);
    expect(revocations.has(holder('ada', 'user', { issuedInMs: -30_000 }))).toBe(true);
  }
});

test('one that was not stored counts all the same', async () => {
  const store: RevocationStore = { load: async () => [], add: () => Promise.reject(new Error('disk full')) };
  const revocations = await Revocations.open(store, MAX_LIFETIME_MS);
  await expect(revocations.add({ sub: 'ada' })).rejects.toThrow('disk full');
  expect(revocations.has(holder('ada', 'user'))).toBe(true);
});

describe('the file', () => {
  test('is for its owner only', async () => {
    using folder = temporaryFolder();
    const path = folder.file('revocations.json');
    const revocations = await Revocations.open(revocationFile(path), MAX_LIFETIME_MS);
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, '[]', { mode: 0o644 });
    await revocations.add({ sub: 'ada' });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('of an earlier version revokes every role', async () => {
    using folder = temporaryFolder();
    const path = folder.file('revocations.json');
    writeFileSync(
      path,
      JSON.stringify([
        { sub: 'ada', at: NOW },
        { jti: 'a lost one', at: NOW },
      ]),
    );
    const revocations = await Revocations.open(revocationFile(path), MAX_LIFETIME_MS);
    expect(revocations.has(holder('ada', 'service'))).toBe(true);
    expect(revocations.has(holder('eve', 'user', { jti: 'a lost one' }))).toBe(true);
  });

  test.each(['{', '[{"sub":"ada","role":"emperor","at":1}]', '[{"sub":"ada"}]'])('that says %s is not taken', async (text) => {
    using folder = temporaryFolder();
    const path = folder.file('revocations.json');
    writeFileSync(path, text);
    await expect(Revocations.open(revocationFile(path), MAX_LIFETIME_MS)).rejects.toThrow(/revocations\.json is not a list of revocations/);
  });
});

test('the table of an earlier version revokes every role, and takes one from then on', async () => {
  const url = await createDatabase(inject('postgresUrl'));
  await (await openPostgresLog({ url }))[Symbol.asyncDispose]();
  await execute(
    url,
    ...WITHOUT_FORMS,
    'ALTER TABLE courier_revocation DROP COLUMN role; UPDATE courier_schema SET version = 1',
    `INSERT INTO courier_revocation (sub, jti, at_ms) VALUES ('ada', NULL, ${NOW}), (NULL, 'lost', ${NOW})`,
  );
  await using log = await openPostgresLog({ url });
  const revocations = await Revocations.open(postgresRevocations(log.database), MAX_LIFETIME_MS);
  await revocations.add({ sub: 'eve', role: 'admin' });
  for (const one of [revocations, await Revocations.open(postgresRevocations(log.database), MAX_LIFETIME_MS)]) {
    const holders = [holder('ada', 'user'), holder('ada', 'admin'), holder('eve', 'admin'), holder('eve', 'user', { jti: 'lost' })];
    expect(holders.map((principal) => one.has(principal))).toEqual([true, true, true, true]);
    expect(one.has(holder('eve', 'user'))).toBe(false);
  }
});
