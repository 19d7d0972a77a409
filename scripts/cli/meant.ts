/** Which type, channel or entity may be meant by a name that the gateway does not know: its contract says, which need not be the one here. */
import { z } from 'zod';
import { loadContract } from '../../src/contract-file.ts';
import { cut } from '../../src/errors.ts';
import { LEAST_LIKENESS, mostLike } from '../../src/most-like.ts';
import { ask, readJson } from './http.ts';

/** What a command was given. */
export interface GivenNames {
  readonly types: readonly string[];
  /** Channels or patterns. */
  readonly channels: readonly string[];
  readonly entities?: readonly string[];
}

const contractOfGateway = z.object({
  'x-name': z.string(),
  'x-types': z.record(z.string(), z.unknown()),
  'x-channels': z.record(z.string(), z.object({ form: z.string() })),
  'x-entities': z.record(z.string(), z.unknown()).optional(),
});

/** By field of an entity's state: its JSON Schema. */
export type FieldForms = Readonly<Record<string, unknown>>;

const stateForm = z.object({ state: z.object({ properties: z.record(z.string(), z.unknown()) }) });

/** By name: the entities that the gateway's contract has. @throws {CliError} when no gateway answers. */
export async function entitiesOfGateway(url: string): Promise<Readonly<Record<string, FieldForms>>> {
  const answer = await readJson(url, await ask(url, '/contract.json', { headers: {} }));
  const entities = Object.entries(contractOfGateway.safeParse(answer).data?.['x-entities'] ?? {});
  return Object.fromEntries(entities.map(([name, entity]) => [name, stateForm.safeParse(entity).data?.state.properties ?? {}]));
}

/**
 * `; is backtest.progress meant?`; empty when all names are known, none is like them or the gateway does not tell. Where the
 * gateway serves another contract than that of the file, it says which.
 */
export async function meant(url: string, { types, channels, entities = [] }: GivenNames, file: string | undefined): Promise<string> {
  const answer = await ask(url, '/contract.json', { headers: {} })
    .then((response) => readJson(url, response))
    .catch(() => undefined);
  const { data } = contractOfGateway.safeParse(answer);
  if (data === undefined) return '';
  const served = data['x-name'];
  const own = file === undefined ? undefined : (await loadContract(file).catch(() => undefined))?.name;
  if (own !== undefined && own !== served)
    return `; the gateway serves the contract "${cut(served)}", and that of COURIER_CONTRACT is "${own}"`;
  const known = Object.keys(data['x-types']);
  const forms = Object.values(data['x-channels']).map(({ form }) => form);
  const found = [
    ...types.map((type) => nameLike(type, known)),
    ...channels.map((channel) => channelLike(channel, forms)),
    ...entities.map((entity) => nameLike(entity, Object.keys(data['x-entities'] ?? {}))),
  ];
  const names = found.filter((name) => name !== undefined);
  return names.length === 0 ? '' : `; ${names.length === 1 ? 'is' : 'are'} ${cut(names.join(', '))} meant?`;
}

function nameLike(given: string, known: readonly string[]): string | undefined {
  if (known.includes(given)) return undefined;
  const { name, likeness } = mostLike(given, known);
  return likeness < LEAST_LIKENESS ? undefined : name;
}

/** The channel in the family that it is most like. @param forms of the families' channels, such as `user.{id}`. */
function channelLike(channel: string, forms: readonly string[]): string | undefined {
  const segments = channel.split('.');
  const rated = forms
    .filter((form) => form.split('.').length <= segments.length)
    .map((form) => {
      const family = form.split('.').filter((segment) => segment !== '{id}');
      const given = segments.slice(0, family.length);
      const name = [...family, ...segments.slice(family.length)].join('.');
      return { name, likeness: mostLike(given.join('.'), [family.join('.')]).likeness };
    });
  const best = rated.reduce((found, next) => (next.likeness > found.likeness ? next : found), { name: channel, likeness: 0 });
  return best.name === channel || best.likeness < LEAST_LIKENESS ? undefined : best.name;
}
