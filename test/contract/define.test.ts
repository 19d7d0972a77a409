/** What is no contract: each rule is told with its place, and what the compiler sees does not compile. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ContractError, defineContract, defineService } from '../../src/contract/define.ts';
import { earlierVersion } from '../../src/contract/definition.ts';
import { id } from '../../src/contract/fields.ts';

const measured = {
  on: ['station'],
  description: 'A station has measured the temperature.',
  data: z.strictObject({ station_id: id, celsius: z.number() }),
  examples: [{ station_id: 'oslo-1', celsius: -3.5 }],
} as const;
const whole = {
  name: 'weather',
  families: { station: { id: 'station_id' } } as Record<string, { id: string }>,
  services: { weather: { events: { 'station.measured': measured } } } as Record<string, { events: Record<string, object> }>,
};

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
const withEvent = (change: object, type = 'station.measured') => ({
  ...whole,
  services: { weather: { events: { [type]: { ...measured, ...change } } } },
});
const withFamily = (name: string, field = 'some_id') => ({ ...whole, families: { ...whole.families, [name]: { id: field } } });
const withService = (name: string, events: object = { 'station.seen': measured }) => ({
  ...whole,
  services: { ...whole.services, [name]: { events } },
});
const EVENT = 'services.weather.events.station.measured: ';

test('what is right is taken', () => {
  expect(problems(whole)).toEqual([]);
  expect(problems(withFamily('a.b_2.c'))).toEqual([]);
  expect(problems(withService('station'))).toEqual([]);
  expect(problems(withEvent({ on: [] }))).toEqual([]);
  expect(problems(withEvent({ on: ['station', 'user', 'global'], subject: 'celsius' }))).toEqual([]);
});

describe('is refused, with its place:', () => {
  test.each<[what: string, definition: object, told: string[]]>([
    ['a name', { ...whole, name: 'We ather' }, ['name: "We ather" must be 1 to 64 of a-z 0-9 _ -, and begin with a letter']],
    ['no service', { ...whole, services: {} }, ['services: there is none']],
    ['a service without events', withService('empty', {}), ['services.empty: it has no events']],
    ["a service's name", withService('Weather'), ['services.Weather: the name must be 1 to 64 of a-z 0-9 _, and begin with a letter']],
    ...['events', 'auth', 'admin', 'state', 'courier', 'user', 'global', 'then', 'call', 'apply'].map(
      (name): [string, object, string[]] => [
        `the service ${name}`,
        withService(name),
        [`services.${name}: the name is Courier's own, or tRPC's`],
      ],
    ),
    ['a family that is always there', withFamily('user'), ['families.user: it is always there']],
    ["a family of Courier's own", withFamily('admin.x'), ["families.admin.x: the first part of the name is Courier's own, or tRPC's"]],
    ['a family that tRPC cannot call', withFamily('then'), ["families.then: the first part of the name is Courier's own, or tRPC's"]],
    ...['Ship', 'a..b', 'a.1', '.a', `${'a'.repeat(191)}`].map((name): [string, object, string[]] => [
      `the family ${name.slice(0, 10)}`,
      withFamily(name),
      [
        `families.${name}: the name must be parts of 1 to 64 of a-z 0-9 _ that begin with a letter, separated by dots, 190 characters at most`,
      ],
    ]),
    ['an id', withFamily('a', 'theId'), ['families.a.id: "theId" must be the name of a field, of a-z 0-9 _']],
    ['an id that JavaScript has', withFamily('a', 'constructor'), ['families.a.id: no id can be called "constructor"']],
    ['an id that is asked for otherwise', withFamily('a', 'types'), ['families.a.id: no id can be called "types"']],
    [
      'families of one procedure',
      { ...whole, families: { ...whole.families, 'a.b_c': { id: 'x' }, 'a.b.c': { id: 'y' } } },
      ['family a.b.c: code would call it ABC, as a.b_c'],
    ],
    [
      'families of one hook',
      { ...whole, families: { ...whole.families, a_b: { id: 'x' }, 'a.b': { id: 'y' } } },
      ['family a.b: code would call it AB, as a_b'],
    ],
    [
      'a family of the hook of one that is always there',
      { ...whole, families: { ...whole.families, user_: { id: 'x' } } },
      ['family user_: code would call it User, as user'],
    ],
    [
      'types of one name',
      withService('other', { 'station.measured': measured }),
      ['event type station.measured: code would call it StationMeasured, as station.measured'],
    ],
    [
      "a type's name",
      withEvent({}, 'Measured'),
      [
        'services.weather.events.Measured: the type must be parts of a-z 0-9 _ that begin with a letter, separated by dots, 128 characters at most',
      ],
    ],
    [
      "a type of Courier's own",
      withEvent({}, 'courier.x'),
      ["services.weather.events.courier.x: the type begins with courier., as Courier's own do"],
    ],
    ['a family that is not there', withEvent({ on: ['station', 'planet'] }), [`${EVENT}on: there is no family "planet"`]],
    ['a family that JavaScript has', withEvent({ on: ['constructor'] }), [`${EVENT}on: there is no family "constructor"`]],
    ['data that is no object', withEvent({ data: z.string() }), [`${EVENT}data: must be a z.strictObject`]],
    ['data that is open', withEvent({ data: z.looseObject({ station_id: id }) }), [`${EVENT}data: must be a z.strictObject`]],
    ['no example', withEvent({ examples: [] }), [`${EVENT}examples: there must be one`]],
    [
      'an example that does not fit',
      withEvent({ examples: [...measured.examples, { station_id: 'oslo 1', celsius: '3' }] }),
      [
        `${EVENT}examples[1].station_id: must be 1 to 64 characters of A-Z, a-z, 0-9, _ and -`,
        `${EVENT}examples[1].celsius: Invalid input: expected number, received string`,
      ],
    ],
    [
      'an example that is no JSON',
      withEvent({ examples: [{ station_id: 'oslo-1', celsius: undefined }] }),
      [`${EVENT}examples[0].celsius: Invalid input: expected number, received undefined`],
    ],
    [
      'an example whose id is none',
      withEvent({ data: z.strictObject({ station_id: z.string() }), examples: [{ station_id: 'no id' }] }),
      [`${EVENT}examples[0].station_id: is no id: 1 to 64 of A-Z a-z 0-9 _ -`],
    ],
    [
      'an example whose user is none',
      withEvent({ data: z.strictObject({ user_id: z.number() }), examples: [{ user_id: 7 }] }),
      [`${EVENT}examples[0].user_id: is no id: 1 to 64 of A-Z a-z 0-9 _ -`],
    ],
    ['a subject', withEvent({ subject: 'planet' }), [`${EVENT}subject: the data has no field "planet"`]],
    ...[0, 1.5, -1, 32_768].map((version): [string, object, string[]] => [
      `version ${version}`,
      withEvent({ version }),
      [`${EVENT}version: must be 1 to 32767`],
    ]),
    [
      'an upcast that is async',
      withEvent({ version: 2, upcast: { 1: earlierVersion(z.strictObject({}), async () => measured.examples[0]) } }),
      [`${EVENT}upcast.1: toPresent may not be async`],
    ],
    [
      'an earlier form that could not have been one',
      withEvent({ version: 2, upcast: { 1: earlierVersion(z.strictObject({ a: z.string().regex(/a/).regex(/b/) }), () => ({})) } }),
      [`${EVENT}upcast.1.data.a: has several conditions of one kind: declare one, such as one regular expression`],
    ],
    [
      'an upcast that is only a function',
      withEvent({ version: 2, upcast: { 1: (old: object) => old } }),
      [`${EVENT}upcast.1: must be an earlierVersion(schema, toPresent)`],
    ],
    [
      'a type that code has a name for',
      withEvent({}, 'any'),
      ["services.weather.events.any: code would call the type Any, as something of Courier's own"],
    ],
    [
      'a part of a name that no channel may have',
      withFamily(`a.${'b'.repeat(65)}`),
      [
        `families.a.${'b'.repeat(65)}: the name must be parts of 1 to 64 of a-z 0-9 _ that begin with a letter, separated by dots, 190 characters at most`,
      ],
    ],
    ...['0', '2', '1.5', 'x'].map((earlier): [string, object, string[]] => [
      `an upcast from ${earlier}`,
      withEvent({ version: 2, upcast: { [earlier]: earlierVersion(z.strictObject({}), () => measured.examples[0]) } }),
      [`${EVENT}upcast: ${earlier} is no version before 2`],
    ]),
  ])('%s', (_what, definition, told) => expect(problems(definition)).toEqual(told));

  test.each<[what: string, definition: object, told: string[]]>([
    ['nothing', {}, ['name: must be a text', 'families: must be an object', 'services: must be an object']],
    [
      'null for each',
      { name: null, families: null, services: null },
      ['name: must be a text', 'families: must be an object', 'services: must be an object'],
    ],
    ['a family without an id', { ...whole, families: { station: {} } }, ['families.station.id: must be a text']],
    ['a service without its events', { ...whole, services: { weather: {} } }, ['services.weather.events: must be an object']],
    [
      'a type without most of it',
      { ...whole, services: { weather: { events: { 'station.measured': { data: measured.data, descripton: 'd', subject: 7 } } } } },
      [
        `${EVENT}on: must be a list`,
        `${EVENT}description: must be a text`,
        `${EVENT}examples: must be a list`,
        `${EVENT}subject: must be a text`,
        `${EVENT}there is no "descripton"`,
      ],
    ],
    ['more than there is', { ...whole, version: 1 }, ['there is no "version"']],
  ])('%s', (_what, definition, told) => expect(problems(definition)).toEqual(told));

  test('all that is wrong, at once', () => {
    expect(problems({ ...withFamily('Planet'), name: '' })).toHaveLength(2);
    expect(problems(withEvent({ on: ['x'], subject: 'y', version: 0, examples: [{}] })).length).toBeGreaterThanOrEqual(5);
  });
});

describe('data cannot have', () => {
  const changed = (kind: string, at = 'data.x') =>
    `${EVENT}${at}: a schema of kind ${kind} that changes what publishers send cannot be in an event's data`;
  const unknown = (kind: string, at = 'data.x') =>
    `${EVENT}${at}: a schema of kind ${kind} that is not known to all clients cannot be in an event's data`;
  const other = (what: string, at = 'data.x') => `${EVENT}${at}: ${what}`;
  const FLAGS = '/^[a-z]+$/i: the flags of a regular expression are not known to all clients';
  const OWN_PATTERN = 'give it a z.string().regex(...)';
  const tree: z.ZodType = z.strictObject({
    get children() {
      return z.array(tree);
    },
  });
  test.each<[string, z.ZodType, string]>([
    ['a default', z.number().default(1), changed('default')],
    ['a default for what is wrong', z.number().catch(1), changed('catch')],
    ['a transform', z.string().transform(Number), changed('pipe')],
    ['a codec', z.codec(z.string(), z.number(), { decode: Number, encode: String }), changed('pipe')],
    ['a coerced number', z.coerce.number(), changed('number')],
    ['a trimmed string', z.string().trim(), changed('string')],
    ['a date', z.date(), unknown('date')],
    ['a bigint', z.bigint(), unknown('bigint')],
    ['a map', z.map(z.string(), z.string()), unknown('map')],
    ['a tuple', z.tuple([z.string(), z.number()]), unknown('tuple')],
    ['what nobody knows', z.custom(() => true), unknown('custom')],
    ['what is looked up later', z.lazy(() => z.string()), unknown('lazy')],
    ['an open object', z.looseObject({ a: z.string() }), `${EVENT}data.x: must be a z.strictObject`],
    ['an object that drops keys', z.object({ a: z.string() }), `${EVENT}data.x: must be a z.strictObject`],
    ['a key that breaks receivers', z.strictObject({ constructor: z.string() }), `${EVENT}data.x: no field can be called "constructor"`],
    ['a record with certain keys', z.record(z.enum(['a', 'b']), z.string()), `${EVENT}data.x: keys must be a z.string`],
    ['a literal that is no JSON', z.literal(1n), `${EVENT}data.x: must be JSON`],
    [
      'two regular expressions for one text',
      z.string().regex(/a/).regex(/b/),
      `${EVENT}data.x: has several conditions of one kind: declare one, such as one regular expression`,
    ],
    ['one of them in a list', z.array(z.date()), unknown('date', 'data.x[]')],
    ['one of them in an object', z.strictObject({ y: z.date().optional() }), unknown('date', 'data.x.y')],
    ['one of them in a record', z.record(z.string(), z.date().nullable()), unknown('date', 'data.x.*')],
    ['a regular expression with flags', z.string().regex(/^[a-z]+$/i), other(FLAGS)],
    ['one that documents cannot have', z.string().regex(/a]/), other('/a]/: is none with the flag u, with which documents are read')],
    ['such a one for keys', z.record(z.string().regex(/^[a-z]+$/i), z.number()), other(FLAGS, 'data.x (its keys)')],
    ['keys that are changed', z.record(z.string().toLowerCase(), z.number()), changed('string', 'data.x (its keys)')],
    ['keys that need not fit', z.looseRecord(z.string().regex(/^a/), z.number()), other('must be a z.record')],
    ['an address', z.url(), other(`z.url() changes what publishers send: ${OWN_PATTERN}`)],
    ['an address of a host', z.url({ hostname: /^a$/ }), other(`z.url() changes what publishers send: ${OWN_PATTERN}`)],
    ['a format without a pattern', z.jwt({ alg: 'HS256' }), other(`the format jwt says no pattern to clients: ${OWN_PATTERN}`)],
    [
      'a format that is a function',
      z.stringFormat('even', () => true),
      other(`the format even says no pattern to clients: ${OWN_PATTERN}`),
    ],
    [
      'one and only one of several',
      z.xor([z.string(), z.number()]),
      other('must be a z.union: what one and only one must hold for is not known to all clients'),
    ],
    [
      'a condition on a property',
      z.string().check(z.property('length', z.number())),
      other('the condition property is not known to all clients'),
    ],
    ['a condition that is async', z.string().refine(async () => true), other('a condition may not be async')],
    ['such a check', z.string().check(async () => undefined), other('a condition may not be async')],
    [
      'a note for documents that says something else than the schema',
      z.string().max(3).meta({ maxLength: 1000 }),
      other('no meta can be called "maxLength": documents would have it in place of what is checked'),
    ],
    ['a field that every object has', z.strictObject({ toString: z.string().optional() }), other('no field can be called "toString"')],
    ['a bound without an end', z.number().max(Infinity), other('Infinity is no bound: leave it out')],
    ['a length below 0', z.string().max(-1), other('-1 is no length')],
    ['a part of a length', z.array(z.string()).min(0.5), other('0.5 is no length')],
    ['a multiple of 0', z.number().multipleOf(0), other('nothing is a multiple of 0')],
    ['one of no values', z.enum([]), other('nothing can be of it')],
    ['one of no alternatives', z.union([]), other('nothing can be of it')],
    ['half of a character for a value', z.enum(['\ud800']), other('must be JSON')],
    ['a part of itself', tree, other('is a part of itself: give each level a schema of its own', 'data.x.children[]')],
    ['one of them in a union', z.union([z.string(), z.date()]), unknown('date')],
  ])('%s', (_what, schema, told) => {
    expect(problems(withEvent({ data: z.strictObject({ station_id: id, x: schema.optional() }) }))).toContain(told);
  });
});

/** Never called: what is in it is only compiled. */
const compiled = (_code: () => unknown) => undefined;

test('what the compiler sees to be wrong does not compile', () => {
  const data = z.strictObject({ station_id: id, celsius: z.number(), sky: z.enum(['clear', 'cloudy']).optional() });
  const event = { on: ['station'], description: 'd', data, examples: [{ station_id: 's', celsius: 1 }] } as const;
  const families = { station: { id: 'station_id' } } as const;
  const old = z.strictObject({ fahrenheit: z.number() });
  compiled(() => defineService({ events: { 'a.b': { ...event, subject: 'celsius' } } }));
  compiled(() =>
    defineService({
      events: {
        'a.b': { ...event, version: 2, upcast: { 1: earlierVersion(old, ({ fahrenheit }) => ({ station_id: 's', celsius: fahrenheit })) } },
      },
    }),
  );
  const service = defineService({ events: { 'a.b': event } });
  compiled(() => defineContract({ name: 'x', families, services: { weather: service } }));
  // @ts-expect-error an example with a field of another type
  compiled(() => defineService({ events: { 'a.b': { ...event, examples: [{ station_id: 's', celsius: '1' }] } } }));
  // @ts-expect-error an example without a field
  compiled(() => defineService({ events: { 'a.b': { ...event, examples: [{ station_id: 's' }] } } }));
  // @ts-expect-error an example with a value that is none of the list
  compiled(() => defineService({ events: { 'a.b': { ...event, examples: [{ station_id: 's', celsius: 1, sky: 'blue' }] } } }));
  // @ts-expect-error no example
  compiled(() => defineService({ events: { 'a.b': { ...event, examples: [] } } }));
  // @ts-expect-error a subject that is no field
  compiled(() => defineService({ events: { 'a.b': { ...event, subject: 'humidity' } } }));
  // @ts-expect-error data that is no object
  compiled(() => defineService({ events: { 'a.b': { ...event, data: z.string() } } }));
  const half = earlierVersion(old, () => ({ station_id: 's' }));
  // @ts-expect-error an upcast that leaves a field out
  compiled(() => defineService({ events: { 'a.b': { ...event, version: 2, upcast: { 1: half } } } }));
  const wrong = earlierVersion(old, () => ({ station_id: 's', celsius: '1' }));
  // @ts-expect-error an upcast to a field of another type
  compiled(() => defineService({ events: { 'a.b': { ...event, version: 2, upcast: { 1: wrong } } } }));
  const more = earlierVersion(old, () => ({ station_id: 's', celsius: 1, fahrenheit: 1 }));
  // @ts-expect-error an upcast that leaves a field in
  compiled(() => defineService({ events: { 'a.b': { ...event, version: 2, upcast: { 1: more } } } }));
  const either = earlierVersion(old, ({ fahrenheit }) =>
    fahrenheit > 0 ? { station_id: 's', celsius: 1 } : { station_id: 's', celsius: 1, sky: 'clear' as const },
  );
  compiled(() => defineService({ events: { 'a.b': { ...event, version: 2, upcast: { 1: either } } } }));
  // @ts-expect-error a field that the earlier version had not
  compiled(() => earlierVersion(old, ({ celsius }) => ({ celsius })));
  // @ts-expect-error a family that is not there
  compiled(() => defineContract({ name: 'x', families: { planet: { id: 'planet_id' } }, services: { weather: service } }));
  // @ts-expect-error a family without an id
  compiled(() => defineContract({ name: 'x', families: { station: { title: 'A station' } }, services: { weather: service } }));
});
