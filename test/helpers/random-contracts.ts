/** Random definitions of contracts, most of which are right, with an example for each type. */
import fc from 'fast-check';
import { z } from 'zod';
import { id } from '../../src/contract/fields.ts';
import { copies } from './samples.ts';

/** A schema, and a value that it takes. */
interface Sample {
  readonly schema: z.ZodType;
  readonly value: unknown;
}

/** Names, some of which mean something to JavaScript, tRPC or Courier. */
const part = fc.oneof(
  { weight: 4, arbitrary: fc.stringMatching(/^[a-z][a-z0-9_]{0,4}$/) },
  fc.constantFrom(
    'type',
    'data',
    'id',
    'channel',
    'links',
    'query',
    'name',
    'length',
    'on',
    'publish',
    'constructor',
    'then',
    'user',
    'from',
  ),
);
/** Names from which code makes the same, when what is within `a` is called after its field `b`. */
const nested = fc.constantFrom('a', 'b', 'a_b', 'b_data', 'b_dict', 'item');
/** Names of fields that mean something to the languages of the clients. */
const ofLanguages = fc.constantFrom(
  ...[
    '',
    '1',
    'é',
    '_x',
    '__x',
    'a-b',
    'a b',
    "it's",
    '"quoted"',
    'back\\slash',
    '*/',
    'TB',
    'AB',
    'ABData',
    'BItem',
    'AnyEvent',
    'Channel',
  ],
  ...['self', 'cls', 'str', 'int', 'list', 'None', 'True', 'class', 'Config', 'copy', 'dict', 'json', 'schema', 'dt', 'Any', 'Literal'],
  ...['model_config', 'model_fields', 'model_dump', 'model_validate_x', 'multiple_of', 'matching', 'checked', 'options', 'events'],
);
const dotted = (max: number) =>
  fc.array(fc.oneof({ weight: 3, arbitrary: part }, nested), { minLength: 1, maxLength: max }).map((parts) => parts.join('.'));
const anId = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
const anyText = fc.string({ unit: 'grapheme', maxLength: 8 });
const anyJson = fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown);
const always = (schema: z.ZodType) => (value: unknown) => ({ schema, value });

/** Strings that the languages of the clients write in another way, or check in another way. */
const texts = fc.constantFrom<Sample>(
  ...['"""', "'''", '"""a', '#', '\\', '\n', '`', '\u2028', '*/'].map((value) => ({ schema: z.enum([value, 'x']), value })),
  ...(
    [
      [/^\p{L}+$/u, 'é'],
      [/(?<=a)b/, 'ab'],
      [/\cA/, '\u0001'],
      [/^(?:a|(b))\1$/, 'a'],
      [/^(?<x>a)\k<x>$/, 'aa'],
      [/^[^x]{2}$/u, 'é😀'],
      [/^.\S\B$/, 'a-'],
      [/^[\w.-]{1,9}\b/, 'a-b'],
      [/^[\s\S]*$/, '\n'],
    ] as const
  ).map(([pattern, value]) => ({ schema: z.string().regex(pattern), value })),
  { schema: z.emoji(), value: '😀' },
  { schema: z.email(), value: 'a@b.cd' },
  { schema: z.ipv6(), value: '::1' },
  { schema: z.iso.duration(), value: 'P1DT2H' },
  { schema: z.base64(), value: 'aGk=' },
);
const numbers = fc.constantFrom<Sample>(
  { schema: z.number().multipleOf(0.1), value: 0.3 },
  { schema: z.number().multipleOf(0.01).gt(-0.5), value: 4.35 },
  { schema: z.int().multipleOf(0.5).min(0.5).lt(7.5), value: 7 },
  { schema: z.int32(), value: -1 },
);

/** Every kind of schema that data may have. */
const { sample } = fc.letrec<{ sample: Sample }>((tie) => ({
  sample: fc.oneof(
    { depthSize: 'small', maxDepth: 3 },
    anyText.map(always(z.string())),
    fc.stringMatching(/^[A-Z]{2}[0-9]{3}$/).map(always(z.string().regex(/^[A-Z]{2}[0-9]{3}$/))),
    texts,
    numbers,
    fc.constant('2026-01-02T03:04:05.000Z').map(always(z.iso.datetime())),
    fc.constant('2026-01-02').map(always(z.iso.date())),
    fc.integer({ min: 0, max: 1000 }).map(always(z.int().min(0).max(1000))),
    fc.double({ min: -1000, max: 1000, noNaN: true }).map((value) => always(z.number())(value === 0 ? 0 : value)),
    fc.boolean().map(always(z.boolean())),
    fc.constant(null).map(always(z.null())),
    fc.uniqueArray(anyText, { minLength: 1, maxLength: 4 }).map((all) => ({ schema: z.enum(all), value: all[0] })),
    fc.oneof(anyText, fc.integer(), fc.boolean()).map((value) => ({ schema: z.literal(value), value })),
    anId.map((value) => ({ schema: z.templateLiteral(['x-', z.string()]), value: `x-${value}` })),
    anyJson.map(always(z.unknown())),
    fc.array(anyJson, { maxLength: 2 }).map(always(z.array(z.any()))),
    tie('sample').map(({ schema, value }) => ({ schema: schema.nullable(), value })),
    tie('sample').map(({ schema }) => ({ schema: schema.nullable(), value: null })),
    fc
      .tuple(tie('sample'), fc.nat(3))
      .map(([{ schema, value }, length]) => ({ schema: z.array(schema).max(3), value: copies(length, value) })),
    fc.tuple(tie('sample'), fc.uniqueArray(part, { maxLength: 3 })).map(([{ schema, value }, keys]) => ({
      schema: z.record(z.string().min(1), schema),
      value: Object.fromEntries(keys.map((key) => [key, structuredClone(value)])),
    })),
    fc.tuple(tie('sample'), tie('sample')).map(([one, other]) => ({ schema: z.union([one.schema, other.schema]), value: other.value })),
    fieldsOf(tie('sample')),
  ),
}));

/** An object whose fields are there, absent, or optional and there. */
function fieldsOf(each: fc.Arbitrary<Sample>): fc.Arbitrary<Sample & { readonly schema: z.ZodObject }> {
  const field = fc.tuple(each, fc.constantFrom('needed', 'given', 'absent'));
  return fc.dictionary(fc.oneof(part, nested, ofLanguages), field, { maxKeys: 4, noNullPrototype: true }).map((fields) => {
    const shape = Object.entries(fields).map(([name, [{ schema }, how]]) => [name, how === 'needed' ? schema : schema.optional()] as const);
    const given = Object.entries(fields).flatMap(([name, [{ value }, how]]) => (how === 'absent' ? [] : [[name, value] as const]));
    return { schema: z.strictObject(Object.fromEntries(shape)), value: Object.fromEntries(given) };
  });
}

const type = fc.record({
  name: dotted(3),
  homes: fc.array(fc.nat(9), { maxLength: 3 }),
  hasIds: fc.boolean(),
  channelId: anId,
  data: fieldsOf(sample),
});

/** What `defineContract` takes, or refuses for names that are Courier's own, or make the same code. */
export const definition = fc
  .record({
    families: fc.uniqueArray(fc.tuple(dotted(3), part), { maxLength: 4, selector: ([name]) => name }),
    services: fc.uniqueArray(fc.tuple(part, fc.uniqueArray(type, { minLength: 1, maxLength: 4, selector: ({ name }) => name })), {
      minLength: 1,
      maxLength: 3,
      selector: ([name]) => name,
    }),
  })
  .map(({ families, services }) => ({
    name: 'any',
    families: Object.fromEntries(families.map(([name, field]) => [name, { id: field }])),
    services: Object.fromEntries(
      services.map(([service, types]) => [
        service,
        { events: Object.fromEntries(types.map((each) => [each.name, eventOf(each, families)])) },
      ]),
    ),
  }));

type TypeParts = typeof type extends fc.Arbitrary<infer T> ? T : never;

function eventOf({ homes, hasIds, channelId, data }: TypeParts, families: readonly (readonly [name: string, field: string])[]) {
  const on = families.length === 0 ? [] : homes.map((home) => families[home % families.length] as readonly [string, string]);
  // The ids of its homes, where it has them at all, are ids.
  const ids = on.map(([, field]) => field);
  const others = Object.entries(data.schema.shape as Record<string, z.ZodType>).filter(([field]) => !ids.includes(field));
  const shape = { ...Object.fromEntries(others), ...Object.fromEntries(hasIds ? ids.map((field) => [field, id] as const) : []) };
  const values = Object.entries(data.value as object).filter(([field]) => !ids.includes(field));
  const example = { ...Object.fromEntries(values), ...Object.fromEntries(hasIds ? ids.map((field) => [field, channelId] as const) : []) };
  return { on: on.map(([name]) => name), description: 'It happened.', data: z.strictObject(shape), examples: [example] };
}
