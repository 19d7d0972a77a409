/** What `courier contract export` writes of another contract: it compiles as the contract's own type does, and to the same events. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { contractHash } from '../../src/version.ts';
import { contract } from '../harbour/contract.ts';
import { runCli } from '../helpers/cli.ts';
import { temporaryFolder } from '../helpers/folder.ts';

const run = promisify(execFile);
const path = (relative: string) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));
const FILE = path('test/harbour/contract.ts');

/** The packages, as they are here and not as they were built last. */
const PACKAGES = {
  '@lumiere/courier-client': [path('client/src/index.ts')],
  '@lumiere/courier-client/react': [path('client/src/react.ts')],
  '@lumiere/courier/contract': [path('src/contract/index.ts')],
};
/** A program that has nothing of the contract but what was exported. */
const PROGRAM = `
import { createTRPCClient, type TRPCClient } from '@trpc/client';
import { BackgroundPublisher, CourierClient, type EventOn, type RouterOf } from '@lumiere/courier-client';
import type { EventData, EventDraft } from '@lumiere/courier/contract';
import type { contract } from '../../harbour/contract.ts';
import { CONTRACT_HASH, type Contract, EVENT_TYPES } from './events.ts';
import { useVesselEvents, useYardBlockEvents } from './hooks.ts';

type Harbour = typeof contract;
/** zod says of an optional field that it may also be undefined, which no JSON is. */
type Exact<T> = T extends Date ? T : T extends object ? { [K in keyof T]: Exact<Exclude<T[K], undefined>> } : T;
const same = <A, B>(_there: (value: Exact<A>) => Exact<B>, _back: (value: Exact<B>) => Exact<A>) => undefined;
same<EventOn<'vessel.*', Contract>, EventOn<'vessel.*', Harbour>>((value) => value, (value) => value);
same<EventOn<'**', Contract>, EventOn<'**', Harbour>>((value) => value, (value) => value);
same<EventDraft<Contract>, EventDraft<Harbour>>((value) => value, (value) => value);
same<keyof TRPCClient<RouterOf<Contract>>, keyof TRPCClient<RouterOf<Harbour>>>((value) => value, (value) => value);

export const client = new CourierClient<Contract>({ url: 'http://127.0.0.1:1', token: 't', contractHash: CONTRACT_HASH });
export const publisher = new BackgroundPublisher<Contract>(client);
export const trpc = createTRPCClient<RouterOf<Contract>>({ links: [] });
export const types: readonly EventData<Contract, 'container.stowed'>['block'][] = EVENT_TYPES;
export async function program() {
  client.subscribe(['vessel.*', 'global'], (event) => event.type === 'vessel.arriving' && event.data.tugs?.[0]?.pull);
  await client.publish('yard.block.A7', 'container.stowed', { block: 'A7', remark: 'r', container: { number: 'MSKU1234565', size: '40ft' } });
  publisher.submit({ type: 'tide.forecast', channel: 'global', data: { gauge: 'G', heights: [{ at: '2026-01-02T03:04:05Z', cm: 1 }] } });
  await trpc.yard.publish.mutate({ type: 'yard.block.filled', channel: 'yard.block.A7', data: { block: 'A7', filled: 1 } });
  trpc.vessel.onEvent.subscribe({ imo: '1', types: ['berth.freed'] }, { onData: ({ data }) => data.type === 'berth.freed' && data.data.berth_no });
  const [row] = [useVesselEvents('1').latest, useYardBlockEvents(null, { types: ['container.stowed'] }).latest?.data.slot?.row];
  // @ts-expect-error a channel that cannot carry the type
  await client.publish('vessel.1', 'berth.assigned', { berth_no: 'Q12' });
  // @ts-expect-error a value that is none of the list
  await client.publish('vessel.1', 'vessel.arriving', { imo: '1', cargo: 'passengers' });
  // @ts-expect-error a field of another type, within a list
  await client.publish('vessel.1', 'vessel.arriving', { imo: '1', tugs: [{ name: 7, pull: 'bow' }] });
  // @ts-expect-error the id has another name
  trpc.vessel.onEvent.subscribe({ vessel_id: '1' }, {});
  // @ts-expect-error a procedure of the package's own contract
  trpc.forge.publish;
  // @ts-expect-error a type that the family cannot carry
  useVesselEvents('1', { types: ['berth.assigned'] });
  return row;
}
`;

async function exported(format: string, output: string): Promise<void> {
  await using cli = runCli(['contract', 'export', '--format', format, '--output', output], { COURIER_CONTRACT: FILE });
  expect([await cli.exit, cli.stderr]).toEqual([0, [`${output} is written`]]);
}

test('the exported types and hooks compile in a strict project, and refuse what the contract refuses', { timeout: 120_000 }, async () => {
  // In the package, so that what it imports is found.
  using folder = temporaryFolder(path('test/client'));
  await Promise.all([exported('typescript', folder.file('events.ts')), exported('react', folder.file('hooks.ts'))]);
  writeFileSync(folder.file('program.ts'), PROGRAM);
  const config = {
    extends: path('tsconfig.json'),
    compilerOptions: { paths: PACKAGES },
    include: [],
    files: ['program.ts'],
  };
  writeFileSync(folder.file('tsconfig.json'), JSON.stringify(config));
  const compiled = await run(path('node_modules/.bin/tsc'), ['-p', folder.file('tsconfig.json')]).catch(
    (error: { stdout: string }) => error,
  );
  expect(compiled.stdout).toBe('');
  const generated = (await import(folder.file('events.ts'))) as { CONTRACT_HASH: string; EVENT_TYPES: readonly string[] };
  expect(generated.CONTRACT_HASH).toBe(contractHash(contract));
  expect(generated.EVENT_TYPES).toEqual([...contract.types.keys()]);
});
