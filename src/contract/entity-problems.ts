/** What is wrong with the entities of a contract, beyond what the compiler sees. */
import { z } from 'zod';
import { COMMON_FAMILIES, USER_ID } from './channels.ts';
import { isAsync, schemaProblems } from './data-schemas.ts';
import type { ContractDefinition, EntityDefinition, EventDefinition } from './definition.ts';
import { versionProblems } from './earlier-problems.ts';
import { jsonSchemaProblems } from './json-schema-of.ts';
import { pascalCase } from './names.ts';

const NAME = /^[a-z][a-z0-9_]{0,63}$/;
/** Entities of one contract, at most. */
const MAX_ENTITIES = 64;
/** Kinds of schemas whose values are texts. */
const TEXTS: ReadonlySet<string> = new Set(['string', 'template_literal']);

/** One line each. */
export function entityProblems({ entities = {}, services, families }: ContractDefinition): string[] {
  const types = new Map(Object.values(services).flatMap(({ events }) => Object.entries(events)));
  const names = Object.keys(entities);
  const problems = Object.entries(entities).flatMap(([name, entity]) => {
    const problem = NAME.test(name) ? [] : ['the name must be 1 to 64 of a-z 0-9 _, and begin with a letter'];
    return [...problem, ...problemsIn(entity, types, families)].map((each) => `entities.${name}: ${each}`);
  });
  if (names.length > MAX_ENTITIES) problems.push(`entities: there are ${names.length}, and may be ${MAX_ENTITIES} at most`);
  const seen = new Map<string, string>();
  for (const name of names) {
    const other = seen.get(pascalCase(name));
    if (other !== undefined) problems.push(`entity ${name}: code would call it ${pascalCase(name)}, as ${other}`);
    seen.set(pascalCase(name), name);
  }
  return problems;
}

type Types = ReadonlyMap<string, EventDefinition>;
type Families = ContractDefinition['families'];

function problemsIn(entity: EntityDefinition, types: Types, families: Families): string[] {
  const { key, state, version = 1, migrate = {}, on } = entity;
  const problems: string[] = [];
  if (key.length === 0) problems.push('key: there must be a field');
  if (entity.types.length === 0) problems.push('types: there must be one');
  for (const type of entity.types) if (!types.has(type)) problems.push(`types: there is no type ${JSON.stringify(type)}`);
  if (problems.length > 0) return problems;
  const carriers = new Set([...entity.types.flatMap((type) => types.get(type)?.on ?? []), ...COMMON_FAMILIES]);
  for (const family of on ?? []) {
    if (!carriers.has(family)) problems.push(`on: no channel of ${JSON.stringify(family)} carries one of its types`);
  }
  const has = on === undefined ? carriers : new Set(on);
  for (const field of key) problems.push(...keyProblems(field, entity, types, families, has));
  problems.push(...stateProblems(state));
  problems.push(...versionProblems('migrate', version, migrate));
  if (isAsync(entity.reduce)) problems.push('reduce: may not be async');
  if (isAsync(entity.open)) problems.push('open: may not be async');
  return problems;
}

/** Each of its events must be able to say the field. */
function keyProblems(field: string, entity: EntityDefinition, types: Types, families: Families, has: ReadonlySet<string>): string[] {
  return entity.types.flatMap((type) => {
    const { data, on = [] } = types.get(type) ?? {};
    const schema = data instanceof z.ZodObject && Object.hasOwn(data.shape, field) ? (data.shape[field] as z.ZodType) : undefined;
    if (schema !== undefined) return isText(schema) ? [] : [`key: ${JSON.stringify(field)} of ${type} is no text`];
    const isId = field === USER_ID || on.some((family) => has.has(family) && families[family]?.id === field);
    return isId ? [] : [`key: ${type} has no field ${JSON.stringify(field)}, and no channel of it that has the entity has it as its id`];
  });
}

function isText(schema: z.ZodType): boolean {
  const { type } = schema.def;
  if (type === 'optional') return isText((schema as z.ZodOptional<z.ZodType>).unwrap());
  if (type === 'union') return (schema as z.ZodUnion<z.ZodType[]>).options.every(isText);
  if (type === 'literal') return [...(schema as z.ZodLiteral).values].every((value) => typeof value === 'string');
  return type === 'enum' ? (schema as z.ZodEnum).options.every((value) => typeof value === 'string') : TEXTS.has(type);
}

function stateProblems(state: z.ZodObject): string[] {
  if (!(state instanceof z.ZodObject) || !(state.def.catchall instanceof z.ZodNever)) return ['state: must be a z.strictObject'];
  const unusable = schemaProblems(state, 'state');
  return unusable.length > 0 ? unusable : jsonSchemaProblems(state, 'state');
}
