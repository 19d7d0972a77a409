/**
 * Compares two schemas of one value, and says whom each change breaks. Both schemas have the strict form, which the gateway
 * applies to publishers. Subscribers apply the open form of the earlier schema, without `additionalProperties: false`. So a
 * change is compatible
 *
 * - for publishers when `after` accepts every value that `before` accepts; the same then holds for stored events;
 * - for subscribers when the open form of `before` accepts every value that `after` accepts.
 *
 * A schema is a conjunction, so this file judges keywords one by one. It never calls a breaking change compatible. It may call
 * a compatible change breaking when two keywords only make sense together, or when it does not know a keyword.
 */
import { createHash } from 'node:crypto';
import type { JsonSchema } from '../../src/contract/json-schema.ts';
import { own, strangeKeyword, typesOf, valuesOf } from './keywords.ts';

export interface Effect {
  readonly breaking: boolean;
  readonly reason: string;
}

export interface SchemaChange {
  /** Names of fields from the top down, such as `data.metrics.trades`; `[]` for the items of a list, `*` for the fields of any name. */
  readonly path: string;
  readonly change: string;
  readonly publishers: Effect;
  readonly subscribers: Effect;
}

export const fine = (reason: string): Effect => ({ breaking: false, reason });
export const breaks = (reason: string): Effect => ({ breaking: true, reason });

const TAKEN = fine('what was accepted still is');
const REFUSED = breaks('values that were accepted are refused');
const FORESEEN = fine('nothing comes that was ruled out');
const UNFORESEEN = breaks('values may come that were ruled out');
export const UNCLEAR = breaks('cannot be judged');
const UNKNOWN = breaks('publishers that send it are refused');
const MISSING = breaks('publishers that do not send it are refused');
const MISSED = breaks('subscribers rely on it');
const PASSED_OVER = fine('subscribers pass over it');

/** The effects of a schema that accepts fewer values than before, more values, or other values. */
const NARROWER = { publishers: REFUSED, subscribers: FORESEEN };
const WIDER = { publishers: TAKEN, subscribers: UNFORESEEN };
const OTHER = { publishers: REFUSED, subscribers: UNFORESEEN };
const SAME = { publishers: TAKEN, subscribers: FORESEEN };
const WORDING = { publishers: fine('only the wording'), subscribers: fine('only the wording') };

/** The changes from `before` to `after`: none when the schemas are equal or differ in order only. */
export function schemaChanges(before: JsonSchema, after: JsonSchema, path = ''): SchemaChange[] {
  if (equal(before, after)) return [];
  return [...wordingChanges(before, after, path), ...assertionChanges(before, after, path)];
}

/** Whether only people are told something else. */
export function isWording({ publishers }: SchemaChange): boolean {
  return publishers === WORDING.publishers;
}

function wordingChanges(before: JsonSchema, after: JsonSchema, path: string): SchemaChange[] {
  const keywords = ['title', 'description'].filter((keyword) => before[keyword] !== after[keyword]);
  return keywords.map((keyword) => ({ path, change: `${keyword} reworded`, ...WORDING }));
}

function assertionChanges(before: JsonSchema, after: JsonSchema, path: string): SchemaChange[] {
  if (equal(assertionsOf(before), assertionsOf(after))) return [];
  const doubt = doubtAbout(before) ?? doubtAbout(after);
  if (doubt !== undefined) {
    const change = `changed (${fingerprint(before)} → ${fingerprint(after)}); ${doubt}`;
    return [{ path, change, publishers: UNCLEAR, subscribers: UNCLEAR }];
  }
  if (before.anyOf !== undefined || after.anyOf !== undefined) return alternativeChanges(before, after, path);
  const types = typeChanges(before, after, path);
  // Values of different types have nothing else to compare.
  if (types.some(({ publishers, subscribers }) => publishers.breaking && subscribers.breaking)) return types;
  return [
    ...types,
    ...valueChanges(before, after, path),
    ...BOUNDS.flatMap((bound) => boundChanges(bound, before, after, path)),
    ...FORMS.flatMap((keyword) => formChanges(keyword, before, after, path)),
    ...schemaChanges(before.items ?? {}, after.items ?? {}, `${path}[]`),
    ...objectChanges(before, after, path),
  ];
}

function assertionsOf({ title: _title, description: _description, ...assertions }: JsonSchema): JsonSchema {
  return assertions;
}

/** The reason why this file cannot judge the keywords of a schema one by one; undefined when it can. */
function doubtAbout(schema: JsonSchema): string | undefined {
  const strange = strangeKeyword(schema);
  if (strange !== undefined) return `it says ${strange}`;
  const beside = Object.keys(assertionsOf(schema)).find((keyword) => keyword !== 'anyOf');
  if (schema.anyOf !== undefined && beside !== undefined) return `it says ${beside} beside anyOf`;
  const nameless = schema.required?.find((name) => own(schema.properties, name) === undefined);
  return nameless === undefined ? undefined : `it requires ${nameless} without saying what that is`;
}

const ALL_TYPES = ['string', 'number', 'boolean', 'null', 'object', 'array'];

function typeChanges(before: JsonSchema, after: JsonSchema, path: string): SchemaChange[] {
  const [old, now] = [typesOf(before) ?? ALL_TYPES, typesOf(after) ?? ALL_TYPES];
  const takes = (types: readonly string[], type: string) => types.includes(type) || (type === 'integer' && types.includes('number'));
  const narrower = old.some((type) => !takes(now, type));
  const wider = now.some((type) => !takes(old, type));
  const change = `type ${typesOf(before)?.join(' or ') ?? 'any'} → ${typesOf(after)?.join(' or ') ?? 'any'}`;
  return compared(path, change, narrower, wider);
}

function valueChanges(before: JsonSchema, after: JsonSchema, path: string): SchemaChange[] {
  const [old, now] = [valuesOf(before), valuesOf(after)];
  if (old === undefined || now === undefined) {
    if (old !== undefined) return [{ path, change: `any value, not only ${listed(old)}`, ...WIDER }];
    return now === undefined ? [] : [{ path, change: `only ${listed(now)}`, ...NARROWER }];
  }
  const removed = old.filter((value) => !now.some((other) => equal(value, other)));
  const added = now.filter((value) => !old.some((other) => equal(value, other)));
  return [
    ...(removed.length > 0 ? [{ path, change: `values removed: ${listed(removed)}`, ...NARROWER }] : []),
    ...(added.length > 0 ? [{ path, change: `values added: ${listed(added)}`, ...WIDER }] : []),
  ];
}

interface Bound {
  readonly side: 'lower' | 'upper';
  /** The keyword of a bound that is itself allowed. */
  readonly inclusive: string;
  /** The keyword of a bound that is itself refused. */
  readonly exclusive?: string;
  /** The bound of a schema that has neither keyword. */
  readonly unbounded: number;
}

const BOUNDS: readonly Bound[] = [
  { side: 'lower', inclusive: 'minLength', unbounded: 0 },
  { side: 'upper', inclusive: 'maxLength', unbounded: Number.POSITIVE_INFINITY },
  { side: 'lower', inclusive: 'minimum', exclusive: 'exclusiveMinimum', unbounded: Number.NEGATIVE_INFINITY },
  { side: 'upper', inclusive: 'maximum', exclusive: 'exclusiveMaximum', unbounded: Number.POSITIVE_INFINITY },
  { side: 'lower', inclusive: 'minItems', unbounded: 0 },
  { side: 'upper', inclusive: 'maxItems', unbounded: Number.POSITIVE_INFINITY },
];

function boundChanges(bound: Bound, before: JsonSchema, after: JsonSchema, path: string): SchemaChange[] {
  const [old, now] = [tightest(bound, before), tightest(bound, after)];
  const change = `${old.text} → ${now.text}`;
  return compared(path, change, now.tightness > old.tightness || closes(now, old), now.tightness < old.tightness || closes(old, now));
}

interface Limit {
  readonly tightness: number;
  readonly exclusive: boolean;
  readonly text: string;
}

function closes(limit: Limit, other: Limit): boolean {
  return limit.tightness === other.tightness && limit.exclusive && !other.exclusive;
}

/** The bound that a schema sets with one keyword or both; the higher its tightness, the fewer values the schema accepts. */
function tightest({ side, inclusive, exclusive, unbounded }: Bound, schema: JsonSchema): Limit {
  const sign = side === 'lower' ? 1 : -1;
  const limits = [inclusive, exclusive].flatMap((keyword): Limit[] => {
    const value = keyword === undefined ? undefined : schema[keyword];
    if (typeof value !== 'number') return [];
    return [{ tightness: sign * value, exclusive: keyword === exclusive, text: `${keyword} ${value}` }];
  });
  const none: Limit = { tightness: sign * unbounded, exclusive: false, text: `no ${inclusive}` };
  return limits.reduce((best, limit) => (limit.tightness > best.tightness || closes(limit, best) ? limit : best), none);
}

/** Keywords that can only be compared for equality. */
const FORMS = ['pattern', 'format', 'multipleOf'];

function formChanges(keyword: string, before: JsonSchema, after: JsonSchema, path: string): SchemaChange[] {
  const [old, now] = [before[keyword], after[keyword]];
  if (old === now) return [];
  const change = `${keyword} ${old === undefined ? 'none' : shown(old)} → ${now === undefined ? 'none' : shown(now)}`;
  return compared(path, change, now !== undefined, old !== undefined);
}

/** Compares alternatives when at least one schema has `anyOf`. A schema without `anyOf` is its own only alternative. */
function alternativeChanges(before: JsonSchema, after: JsonSchema, path: string): SchemaChange[] {
  const old = [...alternativesOf(before)];
  const now = [...alternativesOf(after)];
  const changes: SchemaChange[] = [];
  for (const option of [...old]) {
    const same = now.find((other) => assertionChanges(option, other, path).length === 0);
    if (same === undefined) continue;
    old.splice(old.indexOf(option), 1);
    now.splice(now.indexOf(same), 1);
    changes.push(...wordingChanges(option, same, path));
  }
  const [onlyOld, onlyNow] = [old[0], now[0]];
  if (onlyOld !== undefined && onlyNow !== undefined && old.length === 1 && now.length === 1) {
    return [...changes, ...schemaChanges(onlyOld, onlyNow, path)];
  }
  for (const option of old) {
    const taken = alternativesOf(after).some((other) => schemaChanges(option, other).every(({ publishers }) => !publishers.breaking));
    changes.push({ path, change: `alternative removed: ${titleOf(option)}`, ...(taken ? SAME : NARROWER) });
  }
  for (const option of now) {
    const taken = alternativesOf(before).some((other) => schemaChanges(other, option).every(({ subscribers }) => !subscribers.breaking));
    changes.push({ path, change: `alternative added: ${titleOf(option)}`, ...(taken ? SAME : WIDER) });
  }
  return changes;
}

function alternativesOf(schema: JsonSchema): readonly JsonSchema[] {
  if (doubtAbout(schema) !== undefined) return [schema];
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap(alternativesOf);
  const types = typesOf(schema);
  return types === undefined || types.length === 1 ? [schema] : types.map((type) => ({ ...schema, type }));
}

function titleOf(schema: JsonSchema): string {
  const values = valuesOf(schema);
  if (values !== undefined) return listed(values);
  const types = typesOf(schema)?.join(' or ') ?? 'any';
  return schema.pattern === undefined ? types : `${types} of ${shown(schema.pattern)}`;
}

function objectChanges(before: JsonSchema, after: JsonSchema, path: string): SchemaChange[] {
  const [old, now] = [before.properties ?? {}, after.properties ?? {}];
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])];
  return [
    ...names.flatMap((name) => fieldChanges(name, before, after, path === '' ? name : `${path}.${name}`)),
    ...otherFieldChanges(before, after, path === '' ? '*' : `${path}.*`),
  ];
}

function fieldChanges(name: string, before: JsonSchema, after: JsonSchema, path: string): SchemaChange[] {
  const old = own(before.properties, name) ?? othersIn(before);
  const now = own(after.properties, name) ?? othersIn(after);
  const wasRequired = before.required?.includes(name) === true;
  const isRequired = after.required?.includes(name) === true;
  if (now === undefined) {
    const subscribers = wasRequired ? MISSED : fine('subscribers do not rely on it');
    return [{ path, change: `${wasRequired ? 'required' : 'optional'} field removed`, publishers: UNKNOWN, subscribers }];
  }
  if (old === undefined) {
    const publishers = isRequired ? MISSING : fine('publishers need not send it');
    return [{ path, change: `${isRequired ? 'required' : 'optional'} field added`, publishers, subscribers: PASSED_OVER }];
  }
  const changes = schemaChanges(old, now, path);
  if (isRequired === wasRequired) return changes;
  if (isRequired) return [{ path, change: 'made required', publishers: MISSING, subscribers: FORESEEN }, ...changes];
  return [{ path, change: 'made optional', publishers: TAKEN, subscribers: MISSED }, ...changes];
}

/** Compares the fields that an object does not name: whether they are allowed, their schema, and the schema of their names. */
function otherFieldChanges(before: JsonSchema, after: JsonSchema, path: string): SchemaChange[] {
  const [old, now] = [othersIn(before), othersIn(after)];
  const nameOf = (schema: JsonSchema): JsonSchema => ({ type: 'string', ...schema.propertyNames });
  const changes = schemaChanges(nameOf(before), nameOf(after), `${path} (name)`);
  if (old !== undefined && now !== undefined) return [...changes, ...schemaChanges(old, now, path)];
  if (now !== undefined) return [{ path, change: 'fields of any name added', publishers: TAKEN, subscribers: PASSED_OVER }, ...changes];
  if (old !== undefined) return [{ path, change: 'fields of any name removed', publishers: UNKNOWN, subscribers: FORESEEN }, ...changes];
  return changes;
}

/** The schema of the fields that an object does not name; undefined when such fields are refused. */
function othersIn({ additionalProperties = true }: JsonSchema): JsonSchema | undefined {
  if (additionalProperties === false) return undefined;
  return additionalProperties === true ? {} : additionalProperties;
}

function compared(path: string, change: string, narrower: boolean, wider: boolean): SchemaChange[] {
  if (!narrower && !wider) return [];
  return [{ path, change, ...(narrower && wider ? OTHER : narrower ? NARROWER : WIDER) }];
}

function equal(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [fields, others] = [Object.entries(a), Object.keys(b)];
  return fields.length === others.length && fields.every(([key, value]) => Object.hasOwn(b, key) && equal(value, b[key as keyof typeof b]));
}

function listed(values: readonly unknown[]): string {
  return values.map(shown).join(', ');
}

/** Values stand in full: the ledger tells changes apart by their text. */
function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Tells apart what cannot be said in words. */
export function fingerprint(value: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(value) ?? '')
    .digest('hex')
    .slice(0, 8);
}
