/** The generated Python says what the schemas say, in the layout of Ruff, and equals the committed modules. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { pythonOf } from '../../../scripts/contract/python.ts';
import { isCommonPattern, pythonPattern } from '../../../scripts/contract/python-patterns.ts';
import type { ContractDocument } from '../../../src/contract/document.ts';
import type { JsonSchema } from '../../../src/contract/json-schema.ts';
import { CONTRACT_HASH, DOCUMENT } from '../../helpers/lumiere.ts';
import { object, schema as randomSchema, string } from './random-schemas.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const FOLDER = join(ROOT, 'client/python');
const PYTHON = join(FOLDER, '.venv/bin/python');
const read = (path: string) => readFileSync(join(FOLDER, path), 'utf8');
const shop = (): ContractDocument => JSON.parse(read('tests/shop.json'));

/** A contract with these event types, all on `global`, and these states of entities. */
function documentOf(types: Readonly<Record<string, JsonSchema>>, states: Readonly<Record<string, JsonSchema>> = {}): ContractDocument {
  const global = { type: 'string', const: 'global' } as const;
  const draft = (data: JsonSchema) => object({ channel: { anyOf: [global] }, data }, 'channel', 'data');
  const { 'x-entities': _, ...document } = DOCUMENT;
  const entityOf = (state: JsonSchema) => ({
    description: 'A thing.',
    key: ['a'],
    types: [],
    families: ['global'],
    version: 1,
    folds: '',
    state,
  });
  return {
    ...document,
    ...(Object.keys(states).length > 0 && {
      'x-entities': Object.fromEntries(Object.entries(states).map(([name, state]) => [name, entityOf(state)])),
    }),
    'x-drafts': Object.fromEntries(Object.entries(types).map(([type, data]) => [type, draft(data)])),
    'x-types': {},
    'x-channels': { global: { form: 'global', name: global, types: Object.keys(types) } },
  };
}

const pattern = (schema: z.ZodType) => z.toJSONSchema(schema).pattern as string;
const ISO = {
  date: pattern(z.iso.date()),
  instant: pattern(z.iso.datetime()),
  withMilliseconds: pattern(z.iso.datetime({ precision: 3 })),
  withOffset: pattern(z.iso.datetime({ offset: true })),
};
const EXACT = '^-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,18})?$';

const moduleOf = (data: JsonSchema) => pythonOf(documentOf({ 'test.happened': data }), 'hash');

test('courier_client/events.py is what the contract gives: renew it with `npm run contract:renew`', () => {
  expect(read('courier_client/events.py')).toBe(pythonOf(DOCUMENT, CONTRACT_HASH));
});

test("the module of another contract is what its document gives: renew it with vitest's --update", async () => {
  await expect(pythonOf(shop(), '0123456789abcdef')).toMatchFileSnapshot(join(FOLDER, 'tests/shop.py'));
});

describe('a field', () => {
  /** How the model and the typed dict declare it. */
  function declared(schema: JsonSchema, ...required: string[]) {
    const source = moduleOf(object({ a: schema }, ...required));
    const line = (name: string) =>
      new RegExp(`class TestHappened${name}\\([^]*?"""\\n\\n( {4}a: [^]*?)\\n\\n`).exec(source)?.[1]?.replaceAll(/\s+/g, ' ').trim();
    return [line('Data'), line('Dict')];
  }

  test.each<[JsonSchema, model: string, dict: string]>([
    [{ type: 'string' }, 'a: str', 'a: str'],
    [{ type: 'string', minLength: 1, maxLength: 2 }, 'a: Annotated[str, Field(min_length=1, max_length=2)]', 'a: str'],
    [{ type: 'string', minLength: 1, pattern: '^a$' }, 'a: Annotated[str, Field(min_length=1, pattern="^a$")]', 'a: str'],
    [{ type: 'string', pattern: '^a$' }, 'a: Annotated[str, Field(pattern="^a$")]', 'a: str'],
    [{ type: 'string', pattern: '^\\d$' }, 'a: TestHappenedA', 'a: str'],
    [{ type: 'string', pattern: ISO.date }, 'a: dt.date', 'a: dt.date | str'],
    [{ type: 'string', format: 'date', pattern: 'x' }, 'a: Annotated[str, Field(pattern="x")]', 'a: str'],
    [{ type: 'string', format: 'date-time', pattern: ISO.instant }, 'a: Instant', 'a: dt.datetime | str'],
    [{ type: 'string', format: 'date-time', pattern: ISO.withMilliseconds }, 'a: TestHappenedA', 'a: str'],
    [{ type: 'string', format: 'date-time', pattern: ISO.withOffset }, 'a: TestHappenedA', 'a: str'],
    [{ type: 'string', format: 'date-time', pattern: ISO.instant, maxLength: 24 }, 'a: TestHappenedA', 'a: str'],
    [{ type: 'string', format: 'date-time' }, 'a: str', 'a: str'],
    [{ type: 'string', pattern: EXACT }, 'a: ExactDecimal', 'a: Decimal | str | int'],
    [{ type: 'string', pattern: ISO.date, maxLength: 5 }, 'a: TestHappenedA', 'a: str'],
    [{ type: 'string', format: 'uuid' }, 'a: str', 'a: str'],
    [{ type: 'integer', minimum: 0, exclusiveMaximum: 5 }, 'a: Annotated[int, Field(ge=0, lt=5)]', 'a: int'],
    [{ type: 'integer', minimum: 0.5, exclusiveMaximum: 4.5 }, 'a: Annotated[int, Field(ge=1, lt=5)]', 'a: int'],
    [{ type: 'number', exclusiveMinimum: 0, maximum: 5, multipleOf: 0.5 }, 'a: TestHappenedA', 'a: float'],
    [{ type: 'boolean' }, 'a: bool', 'a: bool'],
    [{ type: 'null' }, 'a: Annotated[None, NULLABLE]', 'a: None'],
    [{ type: ['string', 'null'], maxLength: 3 }, 'a: Annotated[str | None, Field(max_length=3), NULLABLE]', 'a: str | None'],
    [{ enum: ['a', "it's", 'b"', 1, true] }, 'a: Literal["a", "it\'s", \'b"\', 1, True]', 'a: Literal["a", "it\'s", \'b"\', 1, True]'],
    [{ enum: ['a', null] }, 'a: Annotated[Literal["a"] | None, NULLABLE]', 'a: Literal["a"] | None'],
    [{ const: 'a' }, 'a: Literal["a"]', 'a: Literal["a"]'],
    [{ const: 1.5 }, 'a: TestHappenedA', 'a: Any'],
    [{ const: { b: [null] } }, 'a: TestHappenedA', 'a: Any'],
    [{ description: 'Anything.' }, 'a: Annotated[Any, NULLABLE] """Anything."""', 'a: Any'],
    [{ anyOf: [{ type: 'string' }, { type: 'integer' }, { type: 'string' }] }, 'a: str | int', 'a: str | int'],
    [{ type: 'array', items: { type: 'string' }, minItems: 1 }, 'a: Annotated[list[str], Field(min_length=1)]', 'a: Sequence[str]'],
    [{ type: 'array', items: { type: 'integer', minimum: 1 } }, 'a: list[TestHappenedAItem]', 'a: Sequence[int]'],
    [{ type: 'array' }, 'a: list[Any]', 'a: Sequence[Any]'],
    [{ type: 'object', additionalProperties: {} }, 'a: dict[str, Any]', 'a: Mapping[str, Any]'],
    [
      { type: 'object', additionalProperties: { type: 'number' }, propertyNames: { maxLength: 3 } },
      'a: dict[TestHappenedAKey, float]',
      'a: Mapping[str, float]',
    ],
    [object({ b: object({ c: { type: 'null' } }) }), 'a: TestHappenedA', 'a: TestHappenedA | TestHappenedADict'],
    [{ type: 'array', items: object({ b: {} }) }, 'a: list[TestHappenedAItem]', 'a: Sequence[TestHappenedAItemInput]'],
  ])('%j', (schema, model, dict) => {
    expect(declared(schema, 'a')).toEqual([model, dict]);
  });

  test('may be absent', () => {
    expect(declared({ type: 'string', maxLength: 3 })).toEqual([
      'a: Annotated[str | None, Field(max_length=3)] = None',
      'a: NotRequired[str]',
    ]);
  });
});

test.each<[JsonSchema, string]>([
  [{ type: 'string', contentEncoding: 'base64' }, 'test.happened: data.a says contentEncoding, for which no type is known'],
  [{ type: 'array', items: { not: {} } }, 'test.happened: data.a[] says not, for which no type is known'],
  [{ type: 'object', propertyNames: { enum: ['x'] } }, 'test.happened: data.a is no object of free keys'],
  [{ type: 'object', properties: {}, additionalProperties: {} }, 'test.happened: data.a is no object of named fields'],
  [{ minimum: 1 }, 'test.happened: data.a has no type'],
  [{ type: 'string', anyOf: [] }, 'test.happened: data.a has no type'],
])('%j is refused', (schema, message) => {
  expect(() => moduleOf(object({ a: schema }))).toThrow(new TypeError(message));
});

test('a comment says which pattern the module does not check', () => {
  const letters = { type: 'string', pattern: '^\\p{L}é+$', maxLength: 9 } as const;
  expect(moduleOf(object({ a: letters, b: { type: 'array', items: letters } }, 'a', 'b'))).toContain(`
    # The gateway alone checks the pattern, which Python cannot be known to read alike: ^\\p{L}\\u00e9+$
    a: Annotated[str, Field(max_length=9)]
    # The gateway alone checks the pattern, which Python cannot be known to read alike: ^\\p{L}\\u00e9+$
    b: list[TestHappenedBItem]
`);
});

describe('an entity', () => {
  const TOTAL = { type: 'string', pattern: '^-?(0|[1-9][0-9]{0,39})(\\.[0-9]{1,18})?$' } as const;
  const source = pythonOf(
    documentOf(
      { 'a.b': object({ c: TOTAL, item: object({}) }) },
      { lot: object({ a: string, sum: TOTAL, within: object({ b: string }) }, 'sum') },
    ),
    'hash',
  );

  test('has a model of its state, without a dict that nobody gives, and a class of its items', () => {
    expect(source).toContain(`class LotStateWithin(Model, frozen=True):
    b: str | None = None


class LotState(Model, frozen=True):
    """State of \`lot\`."""

    a: str | None = None
    sum: TotalDecimal
    within: LotStateWithin | None = None


class LotItem(StateItem[LotState], frozen=True):
    """A thing."""

    entity: Literal["lot"]
`);
    expect(source).toContain('STATES: Mapping[str, type[StateItem[Any]]] = {\n    "lot": LotItem,\n}');
    expect(source).not.toContain('LotStateDict');
  });

  test('is watched and read by its name', () => {
    expect(source).toContain('        entity: Literal["lot"],\n        **options: Unpack[WatchOptions],\n    ) -> LiveState[LotItem]: ...');
    expect(source).toContain('-> SyncLiveState[LotItem]: ...');
    expect(source).toContain('-> Coroutine[Any, Any, StateSnapshot[LotItem]]: ...');
    // One overload is none.
    expect(source).not.toContain('@overload');
  });

  test('leaves the events as they are', () => {
    expect(source).toContain('    c: str | None');
    expect(pythonOf(documentOf({ 'a.b': object({ c: TOTAL }) }), 'hash')).not.toMatch(/State|Item|Total/);
  });

  test('gives no name that an event has', () => {
    const twice = documentOf({ 'a.b': object({}) }, { lot: object({}), Lot: object({}) });
    expect(() => pythonOf(twice, 'hash')).toThrow(new TypeError('the entity Lot: LotState would be called as that of the entity lot'));
  });
});

test('what is within a type gives way to the names of other types and of fields', () => {
  const b = object({ c: { type: 'null' } });
  const source = pythonOf(documentOf({ a: object({ b, b_data: b, b_dict: b }), 'a.b': object({}), t: object({ TB: string, b }) }), 'hash');
  const classes = [...source.matchAll(/^class (\w+)\((?:Model|TypedDict)/gm)].map(([, name]) => name);
  expect(new Set(classes).size).toBe(classes.length);
  expect(source).toContain('b: AB | None = None');
  expect(source).toContain('    TB: str | None = None\n    b: TB2 | None = None\n');
});

test.each([['"""'], ["'''"], ['#'], ['\\', '"""a']])('the literals %j hide nothing from the imports', (...values) => {
  expect(moduleOf(object({ a: { enum: values } }, 'a'))).toMatch(/^from courier_client\.contract import \([^)]* TypedDict,/m);
});

test('names that would be equal are refused, of types and of families', () => {
  const twice = { 'a.b': object({}), a_b: object({}) };
  expect(() => pythonOf(documentOf(twice), 'hash')).toThrow(new TypeError('a_b: ABData would be called as that of a.b'));
  expect(() => pythonOf(documentOf({}), 'hash')).toThrow('the contract has no event type');
});

test.each([
  ['^a$', '^a\\Z'],
  ['^[^$.]+$', '^[^$.]+\\Z'],
  ['(?<x>a)\\k<x>', '(?P<x>a)(?P=x)'],
  ['a.b', 'a[^\\n\\r\\u2028\\u2029]b'],
  ['[[&|~]', '[\\[\\&\\|\\~]'],
  ['[]|[^]', '(?!)|[\\s\\S]'],
  ['a{,2}b{1,2}', 'a\\{,2}b{1,2}'],
  ['\\z\\A\\/\\_', 'zA\\/_'],
  ['(a)(b)\\2+', '(a)(b)(?:\\2)+'],
  ['\\B.\\bx', '(?!\\b)[^\\n\\r\\u2028\\u2029]\\bx'],
  ['[--a][+--][a-z-9][-a]', '[\\--a][+-\\-][a-z\\-9][\\-a]'],
  ['[\\s\\S]{0,}?', '[\\s\\S]{0,}?'],
  ['(?=a|b)(?!c)', '(?=a|b)(?!c)'],
])('the pattern %s is %s in Python', (pattern, expected) => {
  expect(pythonPattern(pattern)).toBe(expected);
  expect(new RegExp(pattern)).toBeInstanceOf(RegExp);
});

/** What Python does not have, or reads otherwise than JavaScript with the flag `u` or without it. */
test.each([
  ...['\\p{L}', '\\cA', '(?<=a)b', '(?<!a)b', '\\1(a)', '(a\\1)', '(?:(a)|b)\\1', '(a)?\\1', '(a)|\\1', '\\k<x>(?<x>a)', '(?i:a)'],
  ...[
    '\\u{61}',
    '[\\u{61}]',
    '😀',
    '[😀]',
    '\\ud83d',
    '[\\1]',
    '\\01',
    '\\8',
    '[\\S]',
    '[a-\\d]',
    '[\\w-a]',
    '(?=a)*',
    '[\\B]',
    '\\x',
    '\\u1',
  ],
  ...['a{0,99999999999}', '(?<$>a)', '(?<x>a)|(?<x>b)'],
])('the pattern %s is left to the gateway', (pattern) => {
  expect(pythonPattern(pattern)).toBeUndefined();
  expect(isCommonPattern(pattern)).toBe(false);
});

test.each([
  ['^[A-Za-z0-9_-]{1,64}$', true],
  ['^[\\x21-\\x7e]+$', true],
  ['^(?:a|b)\\.c$', true],
  ['^\\d$', false],
  ['^.$', false],
  ['(?=a)', false],
  ['(?<a>b)', false],
  ['[[a]', false],
  ['a\\b', false],
  ['[^a]{2}', false],
  ['(?:a{1,1000}){1,1000}', false],
])('whether pydantic reads %s as the gateway does: %s', (pattern, expected) => {
  expect(isCommonPattern(pattern)).toBe(expected);
});

describe('any contract', () => {
  beforeAll(() => {
    const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'scripts/python.ts'), '--only', 'environment'], {
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(0);
  }, 300_000);

  test('has a module that Python imports, that Ruff would not change, and that mypy --strict accepts', () => {
    const data = fc.dictionary(
      fc.constantFrom('a', 'b', 'from', 'id', 'type', 'date', 'int', 'copy', 'channel', 'data', '_x', 'l', 'self', 'str', 'é', ''),
      randomSchema,
      { maxKeys: 4 },
    );
    const schemas = fc.sample(data, { numRuns: 60, seed: 7 });
    const types = schemas.map((fields, index) => [`type${index}.happened`, object(fields, ...Object.keys(fields).slice(0, 1))] as const);
    const states = schemas.slice(0, 20).map((fields, index) => [`entity${index}`, object(fields)] as const);
    const folder = mkdtempSync(join(tmpdir(), 'courier-contract-'));
    try {
      const path = join(folder, 'contract_of_chance.py');
      writeFileSync(path, pythonOf(documentOf(Object.fromEntries(types), Object.fromEntries(states)), 'hash'));
      const config = ['--config', join(FOLDER, 'pyproject.toml')];
      for (const args of [
        ['-W', 'error', path],
        ['-m', 'ruff', 'format', '--diff', ...config, path],
        ['-m', 'ruff', 'check', ...config, path],
        ['-m', 'mypy', '--strict', '--cache-dir', join(folder, 'mypy'), path],
      ]) {
        const { status, stdout, stderr } = spawnSync(PYTHON, args, { cwd: folder, encoding: 'utf8' });
        expect(status, `${args.join(' ')}\n${stdout}${stderr}`).toBe(0);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  }, 120_000);
});
