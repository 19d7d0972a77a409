/**
 * What the schema of an event's data may be made of. Data arrives as it was published, and every client has a type for it: so a schema
 * neither changes what it checks nor takes what JSON cannot say.
 */
import { z } from 'zod';
import { findFault } from './json.ts';

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
  record: (schema) => [['.*', (schema as z.ZodRecord<z.ZodString, z.ZodType>).valueType]],
  union: (schema) => (schema as z.ZodUnion<z.ZodType[]>).options.map((option) => ['', option]),
};
/** Kinds that give other data than they take. */
const CHANGING: ReadonlySet<string> = new Set(['pipe', 'transform', 'default', 'prefault', 'catch']);

/** What is wrong with the schema of an event's data, each with its place; none when it can be used. */
export function schemaProblems(schema: z.ZodType, path = 'data'): string[] {
  const kind = schema.def.type;
  const parts = Object.hasOwn(KINDS, kind) ? KINDS[kind]?.(schema) : undefined;
  if (parts === undefined || changes(schema)) {
    const why = CHANGING.has(kind) || parts !== undefined ? 'changes what publishers send' : 'is not known to all clients';
    return [`${path}: a schema of kind ${kind} that ${why} cannot be in an event's data`];
  }
  const problem = ownProblem(schema);
  return [
    ...(problem === undefined ? [] : [`${path}: ${problem}`]),
    ...parts.flatMap(([step, part]) => schemaProblems(part, `${path}${step}`)),
  ];
}

function innerOf(schema: z.ZodType): z.ZodType {
  return (schema as z.ZodOptional<z.ZodType>).unwrap();
}

/** Whether a schema of a kind that changes nothing was told to. */
function changes(schema: z.ZodType): boolean {
  const { coerce, checks = [] } = schema.def as { coerce?: boolean; checks?: z.core.$ZodCheck[] };
  return coerce === true || checks.some(({ _zod: { def } }) => def.check === 'overwrite');
}

function ownProblem(schema: z.ZodType): string | undefined {
  if (schema instanceof z.ZodObject) {
    if (!(schema.def.catchall instanceof z.ZodNever)) return 'must be a z.strictObject';
    const refused = Object.keys(schema.shape).find((field) => findFault({ [field]: null }) !== undefined);
    return refused === undefined ? undefined : `no field can be called ${JSON.stringify(refused)}`;
  }
  if (schema instanceof z.ZodRecord && !(schema.keyType instanceof z.ZodString)) return 'keys must be a z.string';
  if (schema instanceof z.ZodLiteral && [...schema.values].some((value) => findFault({ value }) !== undefined)) return 'must be JSON';
  return undefined;
}
