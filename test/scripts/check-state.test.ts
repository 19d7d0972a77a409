/** The check of the state against the events: it finds nothing where both agree, and everything that is different. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { checkState, differences } from '../../scripts/check-state/check.js';
import { ENTITIES, foldAll } from '../../scripts/check-state/rules.js';
import { trading } from '../faults/trading.ts';
import { ENVIRONMENT } from '../helpers/environment.ts';
import { startGateway } from '../helpers/gateway.ts';
import { contract } from '../helpers/lumiere.ts';

const RUN = fileURLToPath(new URL('../../scripts/check-state/run.js', import.meta.url));

async function runCheck(...args: string[]) {
  const child = spawn(process.execPath, [RUN, ...args], { env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code, stdout, stderr };
}

test('it has rules for every entity and each of its types', () => {
  const rules = Object.entries(ENTITIES).map(([name, { families, keyFields, rules }]) => [
    name,
    [...families].sort(),
    keyFields,
    Object.keys(rules).sort(),
  ]);
  const entities = [...contract.entities.values()].map(({ name, families, key, types }) => [
    name,
    [...families].sort(),
    key,
    [...types].sort(),
  ]);
  expect(rules.sort()).toEqual(entities.sort());
});

test.each([1, 2, 3])('what is made of whatever is published is what the rules make of it (%i)', async (seed) => {
  await using gateway = await startGateway();
  const token = await gateway.token('root', 'admin');
  const { events } = gateway.httpClient(token);
  const draft = trading(seed, 40);
  for (let batch = 0; batch < 20; batch += 1) await events.publishBatch.mutate(Array.from({ length: 100 }, draft));
  const checked = await checkState(gateway.url, token);
  expect(checked).toMatchObject({ events: 2000, differences: [] });
  expect(checked.compared).toBeGreaterThan(300);
  const run = await runCheck('--url', gateway.url, '--token', token);
  expect(run).toEqual({
    code: 0,
    stdout: `at ${checked.position}: 2000 events, things compared ${checked.compared}, differences 0\n`,
    stderr: '',
  });
});

test('what is different is told', () => {
  const event = (id: string, key: string) => ({
    id,
    channel: 'forge.job.a',
    type: 'forge.job.progress',
    data: { job_id: key, progress: 0.5 },
    metadata: { timestamp: 'now' },
  });
  const expected = foldAll(['1', '2', '3', '4'].map((number) => event(`e-${number}`, `j${number}`)));
  const given = foldAll(['1', '2', '3', '5'].map((number) => event(`e-${number}`, `j${number}`)));
  const name = (key: string) => JSON.stringify(['forge.job.a', 'job', key]);
  given.set(name('j1'), { ...given.get(name('j1')), id: 'e-0' });
  given.set(name('j2'), { ...given.get(name('j2')), open: false });
  given.set(name('j3'), { ...given.get(name('j3')), state: { job_id: 'j3' } });
  expect(differences(expected, given)).toEqual([
    'forge.job.a job j1: changed last with e-0, not e-1',
    'forge.job.a job j2: is closed, and should not be',
    'forge.job.a job j3: is {"job_id":"j3"}, not {"job_id":"j3","status":"running","progress":0.5,"changed_at":"now"}',
    'forge.job.a job j4: is missing; it changed last with e-4',
    'forge.job.a job j5: is there, and should not be',
  ]);
});

test('where there is no gateway it says so', async () => {
  const { code, stdout, stderr } = await runCheck('--url', 'http://127.0.0.1:1', '--token', 'x');
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^check:state: /);
});
