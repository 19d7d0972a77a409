/** What is no entity: each rule is told with its place. `define.test.ts` has the rules of families and events. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ContractError, defineContract, earlierVersion } from '../../src/contract/define.ts';
import { id } from '../../src/contract/fields.ts';

const measured = {
  on: ['station'],
  description: 'A station has measured the temperature.',
  data: z.strictObject({
    station_id: id,
    celsius: z.number(),
    place: z.string().optional(),
    sky: z.enum(['clear', 'cloudy']),
    unit: z.literal(['c', 'k']),
    grid: z.templateLiteral(['grid-', z.int()]),
    either: z.union([z.literal('x'), z.string().optional()]),
    level: z.enum({ low: 1, high: 2 }),
    mixed: z.union([z.string(), z.number()]),
    number: z.literal(['a', 1]),
    nothing: z.string().nullable(),
    list: z.array(z.string()),
  }),
  examples: [
    {
      station_id: 'oslo-1',
      celsius: -3.5,
      sky: 'clear',
      unit: 'c',
      grid: 'grid-1',
      either: 'x',
      level: 1,
      mixed: 'm',
      number: 'a',
      nothing: null,
      list: [],
    },
  ],
};
const closed = { on: ['station', 'region'], description: 'It is closed.', data: z.strictObject({}), examples: [{}] };
const told = { on: [], description: 'People are told.', data: z.strictObject({}), examples: [{}] };
const reading = {
  description: 'The last temperature of a station.',
  types: ['station.measured'],
  key: ['station_id'],
  state: z.strictObject({ celsius: z.number() }),
  reduce: () => ({ celsius: 1 }),
  open: () => true,
};
const whole = (entities: object) => ({
  name: 'weather',
  families: { station: { id: 'station_id' }, region: { id: 'region_id' }, ship: { id: 'ship_id' } },
  services: { weather: { events: { 'station.measured': measured, 'station.closed': closed, 'people.told': told } } },
  entities,
});
const withEntity = (change: object, name = 'reading') => whole({ [name]: { ...reading, ...change } });

/** What is said of a definition, one line each; none when it is taken. */
function problems(definition: object): string[] {
  try {
    defineContract(definition as never);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(ContractError);
    return (error as ContractError).message.split('\n');
  }
}
const AT = 'entities.reading: ';
const NAME = 'the name must be 1 to 64 of a-z 0-9 _, and begin with a letter';
const earlier = (data: z.ZodType = z.strictObject({}), toPresent: (old: never) => object = () => ({ celsius: 1 })) =>
  earlierVersion(data, toPresent as never);

test.each<[what: string, change: object]>([
  ['an entity', {}],
  ['one of another version, with ways from some', { version: 4, migrate: { 1: earlier(), 3: earlier() } }],
  ['one on some of the families', { on: ['station'] }],
  ['one on those that always are there', { on: ['user', 'global'] }],
  ['a key of several fields', { key: ['station_id', 'place', 'sky', 'unit', 'grid', 'either'] }],
  ['a key that the channel says', { types: ['station.measured', 'station.closed'] }],
  ['the user for a key', { types: ['people.told'], key: ['user_id'] }],
])('%s is taken', (_what, change) => expect(problems(withEntity(change))).toEqual([]));

test('none, and as many as there may be, are taken', () => {
  const some = (count: number) => whole(Object.fromEntries(Array.from({ length: count }, (_, index) => [`e${index}`, reading])));
  expect(problems(some(0))).toEqual([]);
  expect(problems(some(64))).toEqual([]);
  expect(problems(some(65))).toEqual(['entities: there are 65, and may be 64 at most']);
});

describe('is refused, with its place:', () => {
  test.each<[what: string, definition: object, told: string[]]>([
    ...['Reading', '1st', '_x', 'a-b', 'a.b', '', 'x'.repeat(65)].map((name): [string, object, string[]] => [
      `the name ${JSON.stringify(name.slice(0, 10))}`,
      withEntity({}, name),
      [`entities.${name}: ${NAME}`],
    ]),
    ['names from which code makes the same', whole({ a_b: reading, a__b: reading }), ['entity a__b: code would call it AB, as a_b']],
    ['no field for a key', withEntity({ key: [] }), [`${AT}key: there must be a field`]],
    ['no type', withEntity({ types: [] }), [`${AT}types: there must be one`]],
    [
      'types that are not there',
      withEntity({ types: ['station.measured', 'station.exploded', 'toString'] }),
      [`${AT}types: there is no type "station.exploded"`, `${AT}types: there is no type "toString"`],
    ],
    ...['celsius', 'level', 'mixed', 'number', 'nothing', 'list'].map((field): [string, object, string[]] => [
      `${field} for a key`,
      withEntity({ key: [field] }),
      [`${AT}key: ${JSON.stringify(field)} of station.measured is no text`],
    ]),
    [
      'a key that no event can say',
      withEntity({ key: ['planet'] }),
      [`${AT}key: station.measured has no field "planet", and no channel of it that has the entity has it as its id`],
    ],
    [
      'a key that every object has',
      withEntity({ key: ['constructor'] }),
      [`${AT}key: station.measured has no field "constructor", and no channel of it that has the entity has it as its id`],
    ],
    [
      'a key that one of the types cannot say',
      withEntity({ types: ['station.measured', 'people.told'] }),
      [`${AT}key: people.told has no field "station_id", and no channel of it that has the entity has it as its id`],
    ],
    [
      'a key that only channels without the entity say',
      withEntity({ types: ['station.closed'], on: ['region'] }),
      [`${AT}key: station.closed has no field "station_id", and no channel of it that has the entity has it as its id`],
    ],
    [
      'a family that carries none of its types',
      withEntity({ on: ['station', 'ship'] }),
      [`${AT}on: no channel of "ship" carries one of its types`],
    ],
    ['a family that is not there', withEntity({ on: ['planet', 'station'] }), [`${AT}on: no channel of "planet" carries one of its types`]],
    ['a state that is no object', withEntity({ state: z.string() }), [`${AT}state: must be a z.strictObject`]],
    ['a state that is open', withEntity({ state: z.looseObject({}) }), [`${AT}state: must be a z.strictObject`]],
    ['a state that drops fields', withEntity({ state: z.object({}) }), [`${AT}state: must be a z.strictObject`]],
    ['no state', withEntity({ state: undefined }), [`${AT}state: must be a z.strictObject`]],
    [
      'a state within which something is open',
      withEntity({ state: z.strictObject({ a: z.array(z.object({})) }) }),
      [`${AT}state.a[]: must be a z.strictObject`],
    ],
    [
      'a state with a field that every object has',
      withEntity({ state: z.strictObject({ toString: z.string() }) }),
      [`${AT}state: no field can be called "toString"`],
    ],
    [
      'a state that no client can be made from',
      withEntity({ state: z.strictObject({ a: z.string().regex(/a/).regex(/b/) }) }),
      [`${AT}state.a: has several conditions of one kind: declare one, such as one regular expression`],
    ],
    ...[0, 1.5, -1, 32_768].map((version): [string, object, string[]] => [
      `version ${version}`,
      withEntity({ version }),
      [`${AT}version: must be 1 to 32767`],
    ]),
    ...['0', '2', '3', '1.5', 'x'].map((version): [string, object, string[]] => [
      `a migration from ${version}`,
      withEntity({ version: 2, migrate: { [version]: earlier() } }),
      [`${AT}migrate: ${version} is no version before 2`],
    ]),
    ['a migration without another version', withEntity({ migrate: { 1: earlier() } }), [`${AT}migrate: 1 is no version before 1`]],
    [
      'a migration that is only a function',
      withEntity({ version: 2, migrate: { 1: () => ({}) } }),
      [`${AT}migrate.1: must be an earlierVersion(schema, toPresent)`],
    ],
    [
      'a migration without its function',
      withEntity({ version: 2, migrate: { 1: { data: z.strictObject({}) } } }),
      [`${AT}migrate.1: must be an earlierVersion(schema, toPresent)`],
    ],
    [
      'a migration that is async',
      withEntity({ version: 2, migrate: { 1: earlier(z.strictObject({}), async () => ({ celsius: 1 })) } }),
      [`${AT}migrate.1: toPresent may not be async`],
    ],
    [
      'an earlier state that could not have been one',
      withEntity({ version: 2, migrate: { 1: earlier(z.strictObject({ a: z.string().regex(/a/).regex(/b/) })) } }),
      [`${AT}migrate.1.data.a: has several conditions of one kind: declare one, such as one regular expression`],
    ],
    ['a reducer that is async', withEntity({ reduce: async () => ({ celsius: 1 }) }), [`${AT}reduce: may not be async`]],
    ['to be open, asked for later', withEntity({ open: async () => true }), [`${AT}open: may not be async`]],
  ])('%s', (_what, definition, says) => expect(problems(definition)).toEqual(says));

  test('a state with a schema that events cannot have', () => {
    const [problem, ...others] = problems(withEntity({ state: z.strictObject({ since: z.date() }) }));
    expect(problem).toMatch(/^entities\.reading: state\.since: a schema of kind date /);
    expect(others).toEqual([]);
  });

  test.each<[what: string, definition: object, told: string[]]>([
    ['what is no object', whole([]), ['entities: must be an object']],
    ['null', whole({ reading: null }), ['entities.reading: must be an object']],
    [
      'an entity without anything',
      whole({ reading: {} }),
      [
        ...['description: must be a text', 'key: must be a list', 'types: must be a list', 'state: must be a z.strictObject'],
        ...['reduce: must be a function', 'open: must be a function'],
      ].map((line) => `${AT}${line}`),
    ],
    ['an entity without its reducer', withEntity({ reduce: undefined }), [`${AT}reduce: must be a function`]],
    ['an entity that never says whether it is open', withEntity({ open: true }), [`${AT}open: must be a function`]],
    ['an empty description', withEntity({ description: '' }), [`${AT}description: must be a text`]],
    ['a key that is a text', withEntity({ key: 'station_id' }), [`${AT}key: must be a list`]],
    ['a key of a number', withEntity({ key: [7] }), [`${AT}key.0: must be a text`]],
    ['a type that is a number', withEntity({ types: ['station.measured', 7] }), [`${AT}types.1: must be a text`]],
    ['families that are a text', withEntity({ on: 'station' }), [`${AT}on: must be a list`]],
    ['a version that is a text', withEntity({ version: '2' }), [`${AT}version: must be a number`]],
    [
      'a migration that is none',
      withEntity({ version: 2, migrate: { 1: 'x' } }),
      [`${AT}migrate.1: must be an earlierVersion(schema, toPresent)`],
    ],
    ['more than there is', withEntity({ reducer: () => ({}), of: [] }), [`${AT}there is no "reducer"`, `${AT}there is no "of"`]],
  ])('%s', (_what, definition, says) => expect(problems(definition)).toEqual(says));

  test('all that is wrong, at once, and of each entity', () => {
    const wrong = {
      ...reading,
      key: ['planet'],
      on: ['ship'],
      state: z.string(),
      version: 0,
      reduce: async () => ({}),
      open: async () => true,
    };
    expect(problems(whole({ one: wrong, Two: wrong })).map((problem) => problem.split(': ').slice(0, 2).join(': '))).toEqual([
      ...['on', 'key', 'state', 'version', 'reduce', 'open'].map((place) => `entities.one: ${place}`),
      `entities.Two: ${NAME}`,
      ...['on', 'key', 'state', 'version', 'reduce', 'open'].map((place) => `entities.Two: ${place}`),
    ]);
  });
});
