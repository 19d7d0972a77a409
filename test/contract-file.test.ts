/** The file of a contract: a gateway serves it from wherever it is, or says in lines what is wrong with it. */
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { loadContract } from '../src/contract-file.ts';
import { runCli } from './helpers/cli.ts';
import { temporaryFolder } from './helpers/folder.ts';
import { contract as lumiere } from './helpers/lumiere.ts';
import { processToken, startProcess } from './helpers/process.ts';

const WEATHER = `import { defineContract, defineService, id, z } from '@lumiere/courier/contract';

const stations = defineService({
  events: {
    'station.measured': {
      on: ['station'],
      description: 'A station has measured.',
      data: z.strictObject({ station_id: id, celsius: z.number() }),
      examples: [{ station_id: 'oslo', celsius: -3.5 }],
    },
  },
});
export default defineContract({ name: 'weather', families: { station: { id: 'station_id' } }, services: { stations } });
`;

function written(folder: ReturnType<typeof temporaryFolder>, name: string, text: string): string {
  writeFileSync(folder.file(name), text);
  return folder.file(name);
}

/** In a process of its own, as modules are loaded there by Node.js itself. */
async function check(...args: string[]) {
  await using run = runCli(['serve', '--check', ...args], { COURIER_LOG: 'memory:' });
  return [await run.exit, run.stdout, run.stderr] as const;
}

async function refusal(path: string): Promise<readonly string[]> {
  const [exit, stdout, stderr] = await check('--contract', path);
  expect([exit, stdout]).toEqual([2, []]);
  return stderr.map((line) => line.replace(`courier: COURIER_CONTRACT ${path}: `, ''));
}

test.each(['{"type":"commonjs"}', '{}'])('it is a module, as are those that it imports, also in a package of %s', async (manifest) => {
  using folder = temporaryFolder();
  written(folder, 'package.json', manifest);
  written(folder, 'weather.ts', WEATHER);
  const path = written(folder, 'contract.ts', "import weather from './weather.ts';\nexport default weather;\n");
  expect(await check('--contract', path)).toEqual([0, ['the configuration is right'], []]);
});

test('without a file it is the contract of the platform', async () => {
  expect(await loadContract(undefined)).toBe(lumiere);
});

test('a gateway serves the contract of a file that lies anywhere, and nothing of another', async () => {
  using folder = temporaryFolder();
  const env = { COURIER_LOG: 'memory:', COURIER_CONTRACT: written(folder, 'contract.ts', WEATHER) };
  await using gateway = await startProcess(env);
  const document = await (await fetch(`${gateway.url}/contract.json`)).json();
  expect(document).toMatchObject({ 'x-name': 'weather', 'x-services': { stations: ['station.measured'] } });
  const headers = { authorization: `Bearer ${await processToken('stations', 'service')}`, 'content-type': 'application/json' };
  const publish = (draft: object) => fetch(`${gateway.url}/publish`, { method: 'POST', headers, body: JSON.stringify(draft) });
  const draft = { type: 'station.measured', channel: 'station.oslo', data: { station_id: 'oslo', celsius: 1 } };
  expect((await publish(draft)).status).toBe(201);
  expect((await publish({ ...draft, type: 'backtest.started' })).status).toBe(400);
  expect(await (await fetch(`${gateway.url}/events/backtest.b1`, { headers })).json()).toMatchObject({
    detail: '"backtest.b1" can match no channel; channels are global, user.{id}, station.{id}',
  });
});

describe('refused in lines that name the file', () => {
  test.each<[string, string, string[] | [RegExp]]>([
    [
      'a file without a contract',
      'export default { name: "weather" };',
      ['its default export is no contract: export default defineContract({ ... })'],
    ],
    ['nothing for a default', 'export const contract = 1;', ['its default export is no contract: export default defineContract({ ... })']],
    ['what is no program', 'export default {', [/^cannot be loaded: /]],
    ['what throws', 'throw new Error("not today");', ['cannot be loaded: not today (line 1)']],
    ['an import that is not there', "import './nowhere.ts';", [/^cannot be loaded: Cannot find module .*nowhere\.ts/]],
    [
      'a definition with faults',
      WEATHER.replace("on: ['station']", "on: ['ship']").replace('-3.5', "'cold'").replace("'weather'", "'My Weather'"),
      [
        'name: "My Weather" must be 1 to 64 of a-z 0-9 _ -, and begin with a letter',
        'services.stations.events.station.measured: on: there is no family "ship"',
        'services.stations.events.station.measured: examples[0].celsius: Invalid input: expected number, received string',
      ],
    ],
  ])('%s', async (_name, text, expected) => {
    using folder = temporaryFolder();
    const told = await refusal(written(folder, 'contract.ts', text));
    expect(told).toEqual(expected.map((line) => (typeof line === 'string' ? line : expect.stringMatching(line))));
  });

  test('a file that is not there', async () => {
    expect(await refusal('/nowhere/contract.ts')).toEqual(['there is no such file']);
  });
});

test('the command line looks at a contract before a gateway is started with it', async () => {
  using folder = temporaryFolder();
  const right = written(folder, 'right.ts', WEATHER);
  const wrong = written(folder, 'wrong.mjs', 'export default 1;');
  expect(await check('--contract', right)).toEqual([0, ['the configuration is right'], []]);
  expect(await check('--contract', wrong)).toEqual([
    2,
    [],
    [`courier: COURIER_CONTRACT ${wrong}: its default export is no contract: export default defineContract({ ... })`],
  ]);
  expect(await check('--contract', folder.file('data.json'))).toEqual([
    2,
    [],
    ['courier: COURIER_CONTRACT must be the path of a TypeScript or JavaScript file'],
  ]);
});
