/**
 * What the schema of an event's data may be made of. Data arrives as it was published, and every client has a type for it: so a schema
 * neither changes what it checks nor takes what JSON cannot say.
 */
import { z } from 'zod';
import { findFault, MAX_JSON_DEPTH } from './json.ts';

/** The schemas of which a schema is made, each with where it stands in the data. */
type Parts = readonly (readonly [path: string, schema: z.ZodType])[];

/** By kind of schema: its parts. A kind that is not listed cannot be in data. */
const KINDS: Readonly<Record<string, (schema: z.ZodType) => Parts>> = {
  string: () => [],
  number: () => [],
  boolean: () => [],
  null: () => [],
  literal: () => [],
  enum: () => [],
  template_literal: () => [],
  unknown: () => [],
  any: () => [],
  optional: (schema) => [['', innerOf(schema)]],
  nullable: (schema) => [['', innerOf(schema)]],
  array: (schema) => [['[]', (schema as z.ZodArray<z.ZodType>).element]],
  object: (schema) => Object.entries<z.ZodType>((schema as z.ZodObject).shape).map(([field, each]) => [`.${field}`, each]),
  record: (schema) => {
    const { keyType, valueType } = schema as z.ZodRecord<z.ZodString, z.ZodType>;
    return [
      [' (its keys)', keyType],
      ['.*', valueType],
    ];
  },
  union: (schema) => (schema as z.ZodUnion<z.ZodType[]>).options.map((option) => ['', option]),
};
/** What `meta` may say of a schema. */
const WORDING: ReadonlySet<string> = new Set(['description', 'title', 'examples', 'deprecated']);
/** Kinds that give other data than they take. */
const CHANGING: ReadonlySet<string> = new Set(['pipe', 'transform', 'default', 'prefault', 'catch']);

/** Conditions that JSON Schema says, by the names that zod has for them; those of `refine`, which it does not say, are `custom`. */
const CONDITIONS: ReadonlySet<string> = new Set([
  ...['string_format', 'min_length', 'max_length', 'length_equals'],
  ...['number_format', 'less_than', 'greater_than', 'multiple_of', 'custom'],
]);

/**
 * What is wrong with the schema of an event's data, each with its place; none when it can be used.
 *
 * @param within the schemas that it is a part of.
 */
export function schemaProblems(schema: z.ZodType, path = 'data', within: readonly z.ZodType[] = []): string[] {
  if (within.includes(schema)) return [`${path}: is a part of itself: give each level a schema of its own`];
  if (within.length > MAX_JSON_DEPTH) return [`${path}: must not be nested deeper than ${MAX_JSON_DEPTH} levels`];
  const kind = schema.def.type;
  const parts = Object.hasOwn(KINDS, kind) ? KINDS[kind]?.(schema) : undefined;
  if (parts === undefined || changes(schema)) {
    const why = CHANGING.has(kind) || parts !== undefined ? 'changes what publishers send' : 'is not known to all clients';
    return [`${path}: a schema of kind ${kind} that ${why} cannot be in an event's data`];
  }
  const problem = ownProblem(schema);
  return [
    ...(problem === undefined ? [] : [`${path}: ${problem}`]),
    ...parts.flatMap(([step, part]) => schemaProblems(part, `${path}${step}`, [...within, schema])),
  ];
}

function innerOf(schema: z.ZodType): z.ZodType {
  return (schema as z.ZodOptional<z.ZodType>).unwrap();
}

/** Whether a schema of a kind that changes nothing was told to. */
function changes(schema: z.ZodType): boolean {
  return (schema.def as { coerce?: boolean }).coerce === true || conditionsOf(schema).some(({ check }) => check === 'overwrite');
}

interface Condition {
  readonly check: string;
  readonly format?: string | undefined;
  readonly pattern?: RegExp | undefined;
  readonly fn?: unknown;
  /** The bound of a length, or of a number. */
  readonly bound?: number | undefined;
}

/** What conditions call their bounds. */
interface Bounds {
  readonly minimum?: number;
  readonly maximum?: number;
  readonly length?: number;
  readonly value?: number;
}

/** Whether a function says of itself that it gives a promise. */
export function isAsync(fn: unknown): boolean {
  return typeof fn === 'function' && fn.constructor.name === 'AsyncFunction';
}

/** The conditions of a schema; a format such as `z.uuid()` is one itself. */
function conditionsOf(schema: z.ZodType): Condition[] {
  const def = schema.def as { check?: string; checks?: z.core.$ZodCheck[] };
  const attached = (def.checks ?? []).map(({ _zod }): Condition => {
    const { check, format, pattern, fn, minimum, maximum, length, value } = _zod.def as Condition & Bounds;
    return { check, format, pattern, fn: fn ?? _zod.check, bound: minimum ?? maximum ?? length ?? value };
  });
  return def.check === undefined ? attached : [def as Condition, ...attached];
}

function isUnicode({ source }: RegExp): boolean {
  try {
    return new RegExp(source, 'u') instanceof RegExp;
  } catch {
    return false;
  }
}

/** Why JSON Schema does not say the whole of a condition: two versions that differ there only would be taken for the same. */
function unsaid({ check, format, pattern, fn, bound }: Condition): string | undefined {
  if (isAsync(fn)) return 'a condition may not be async';
  if (!CONDITIONS.has(check)) return `the condition ${check} is not known to all clients`;
  if (check === 'multiple_of' && bound === 0) return 'nothing is a multiple of 0';
  if (bound !== undefined && !Number.isFinite(bound)) return `${bound} is no bound: leave it out`;
  if (bound !== undefined && check.includes('length') && !(Number.isSafeInteger(bound) && bound >= 0)) return `${bound} is no length`;
  if (check !== 'string_format') return undefined;
  if (format === 'url') return 'z.url() changes what publishers send: give it a z.string().regex(...)';
  if (pattern === undefined) return `the format ${format} says no pattern to clients: give it a z.string().regex(...)`;
  if (!isUnicode(pattern)) return `${pattern}: is none with the flag u, with which documents are read`;
  return /[^u]/.test(pattern.flags) ? `${pattern}: the flags of a regular expression are not known to all clients` : undefined;
}

function ownProblem(schema: z.ZodType): string | undefined {
  const strange = Object.keys(z.globalRegistry.get(schema) ?? {}).find((key) => !WORDING.has(key));
  if (strange !== undefined) return `no meta can be called ${JSON.stringify(strange)}: documents would have it in place of what is checked`;
  const condition = conditionsOf(schema)
    .map(unsaid)
    .find((problem) => problem !== undefined);
  if (condition !== undefined) return condition;
  if (schema instanceof z.ZodUnion && schema.def.inclusive === false && !(schema instanceof z.ZodDiscriminatedUnion))
    return 'must be a z.union: what one and only one must hold for is not known to all clients';
  if (schema instanceof z.ZodObject) {
    if (!(schema.def.catchall instanceof z.ZodNever)) return 'must be a z.strictObject';
    const refused = Object.keys(schema.shape).find((field) => field in Object.prototype || findFault({ [field]: null }) !== undefined);
    return refused === undefined ? undefined : `no field can be called ${JSON.stringify(refused)}`;
  }
  if (schema instanceof z.ZodRecord && !(schema.keyType instanceof z.ZodString)) return 'keys must be a z.string';
  if (schema instanceof z.ZodRecord && (schema.def as { mode?: string }).mode === 'loose') return 'must be a z.record';
  const values: readonly unknown[] | undefined =
    schema instanceof z.ZodLiteral ? [...schema.values] : schema instanceof z.ZodEnum ? schema.options : undefined;
  if (values?.some((value) => value === undefined || findFault({ value }) !== undefined)) return 'must be JSON';
  if (values?.length === 0 || (schema instanceof z.ZodUnion && schema.options.length === 0)) return 'nothing can be of it';
  return undefined;
}
