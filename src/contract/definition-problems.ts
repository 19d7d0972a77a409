/** What is wrong with the definition of a contract, beyond what the compiler sees. */
import { z } from 'zod';
import { COMMON_FAMILIES, SEGMENT, USER_ID } from './channels.ts';
import { schemaProblems } from './data-schemas.ts';
import type { ContractDefinition, EventDefinition } from './definition.ts';
import { formProblems } from './definition-form.ts';
import { versionProblems } from './earlier-problems.ts';
import { entityProblems } from './entity-problems.ts';
import { FORBIDDEN_KEYS, findFault } from './json.ts';
import { jsonSchemaProblems } from './json-schema-of.ts';
import { pascalCase } from './names.ts';

const CONTRACT = /^[a-z][a-z0-9_-]{0,63}$/;
const NAME = /^[a-z][a-z0-9_]{0,63}$/;
const DOTTED = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$/;
/** A segment of a channel's name, and of a pattern, has 64 characters at most. */
const LONG_SEGMENT = /[^.]{65}/;
/** Characters in a family's name and in a type's, at most: a channel's name has 255, and ends in a dot and an id of 64. */
const [MAX_FAMILY_LENGTH, MAX_TYPE_LENGTH] = [190, 128];
/** First parts of procedures' names that are Courier's own, or will be, and those that tRPC allows nobody. */
const RESERVED: ReadonlySet<string> = new Set(['events', 'auth', 'admin', 'state', 'courier', 'then', 'call', 'apply']);
/** What Courier itself calls in code made of a contract, or in the comparison of two. */
const OWN_CODE_NAMES: ReadonlySet<string> = new Set(['Any', 'Generic', 'Typed', 'Contract', 'Global', 'CourierGap', 'CourierLive']);
/** What the procedure of a family is asked for beside the id. */
const INPUT_FIELDS: ReadonlySet<string> = new Set(['channels', 'from', 'types']);

/** One line each; none when the contract can be served. */
export function problemsOf(definition: ContractDefinition): string[] {
  const problems = formProblems(definition);
  return problems.length > 0 ? problems : [...problemsWithin(definition), ...entityProblems(definition)];
}

function problemsWithin({ name, families, services }: ContractDefinition): string[] {
  const problems: string[] = [];
  if (!CONTRACT.test(name)) problems.push(`name: ${JSON.stringify(name)} must be 1 to 64 of a-z 0-9 _ -, and begin with a letter`);
  for (const [family, { id }] of Object.entries(families)) problems.push(...familyProblems(family, id));
  const types = Object.entries(services).flatMap(([service, { events }]) =>
    Object.entries(events).map(([type, event]) => ({ service, type, event })),
  );
  for (const [service, { events }] of Object.entries(services)) {
    const isTaken = RESERVED.has(service) || COMMON_FAMILIES.some((family) => family === service);
    if (!NAME.test(service)) problems.push(`services.${service}: the name must be 1 to 64 of a-z 0-9 _, and begin with a letter`);
    else if (isTaken) problems.push(`services.${service}: the name is Courier's own, or tRPC's`);
    if (Object.keys(events).length === 0) problems.push(`services.${service}: it has no events`);
  }
  for (const { service, type, event } of types) {
    problems.push(...typeProblems(type, event, families).map((problem) => `services.${service}.events.${type}: ${problem}`));
  }
  if (Object.keys(services).length === 0) problems.push('services: there is none');
  problems.push(
    ...sameNames('family', [...new Set([...COMMON_FAMILIES, ...Object.keys(families)])], pascalCase),
    ...sameNames(
      'event type',
      types.map(({ type }) => type),
      pascalCase,
    ),
  );
  return problems;
}

function familyProblems(family: string, id: string): string[] {
  const at = `families.${family}`;
  const problems: string[] = [];
  if (!DOTTED.test(family) || family.length > MAX_FAMILY_LENGTH || LONG_SEGMENT.test(family))
    problems.push(
      `${at}: the name must be parts of 1 to 64 of a-z 0-9 _ that begin with a letter, separated by dots, ${MAX_FAMILY_LENGTH} characters at most`,
    );
  else if (COMMON_FAMILIES.some((common) => common === family)) problems.push(`${at}: it is always there`);
  else if (RESERVED.has(family.split('.', 1)[0] as string)) problems.push(`${at}: the first part of the name is Courier's own, or tRPC's`);
  if (!NAME.test(id)) problems.push(`${at}.id: ${JSON.stringify(id)} must be the name of a field, of a-z 0-9 _`);
  else if (INPUT_FIELDS.has(id) || FORBIDDEN_KEYS.has(id)) problems.push(`${at}.id: no id can be called ${JSON.stringify(id)}`);
  return problems;
}

function typeProblems(
  type: string,
  { on, data, examples, subject, version = 1, upcast = {} }: EventDefinition,
  families: ContractDefinition['families'],
): string[] {
  const problems: string[] = [];
  if (!DOTTED.test(type) || type.length > MAX_TYPE_LENGTH)
    problems.push(`the type must be parts of a-z 0-9 _ that begin with a letter, separated by dots, ${MAX_TYPE_LENGTH} characters at most`);
  if (OWN_CODE_NAMES.has(pascalCase(type))) problems.push(`code would call the type ${pascalCase(type)}, as something of Courier's own`);
  if (type.startsWith('courier.')) problems.push("the type begins with courier., as Courier's own do");
  for (const family of on) {
    if (!Object.hasOwn(families, family) && !COMMON_FAMILIES.some((common) => common === family))
      problems.push(`on: there is no family ${JSON.stringify(family)}`);
  }
  if (!(data instanceof z.ZodObject) || !(data.def.catchall instanceof z.ZodNever)) return [...problems, 'data: must be a z.strictObject'];
  const unusable = schemaProblems(data);
  if (unusable.length > 0) return [...problems, ...unusable];
  problems.push(...jsonSchemaProblems(data));
  if (examples.length === 0) problems.push('examples: there must be one');
  for (const [index, example] of examples.entries())
    problems.push(...exampleProblems(data, example, idFields(on, families)).map((problem) => `examples[${index}]${problem}`));
  if (subject !== undefined && !Object.hasOwn(data.shape, subject))
    problems.push(`subject: the data has no field ${JSON.stringify(subject)}`);
  problems.push(...versionProblems('upcast', version, upcast));
  return problems;
}

/** The fields that are ids in the names of the channels that carry a type. */
function idFields(on: readonly string[], families: ContractDefinition['families']): string[] {
  return [...on.flatMap((family) => (Object.hasOwn(families, family) ? [families[family]?.id as string] : [])), USER_ID];
}

function exampleProblems(data: z.ZodObject, example: unknown, ids: readonly string[]): string[] {
  const fault = findFault(example);
  if (fault !== undefined) return [`${fault.path.map((part) => `.${part}`).join('')}: ${fault.message}`];
  const { error } = data.safeParse(example);
  if (error !== undefined) return error.issues.map(({ path, message }) => `${path.map((part) => `.${String(part)}`).join('')}: ${message}`);
  const fields = example as Readonly<Record<string, unknown>>;
  const isNoId = (field: string) => Object.hasOwn(fields, field) && !(typeof fields[field] === 'string' && SEGMENT.test(fields[field]));
  return [...new Set(ids)].filter(isNoId).map((field) => `.${field}: is no id: 1 to 64 of A-Z a-z 0-9 _ -`);
}

/** Names from which the same name of code would be made. */
function sameNames(what: string, names: readonly string[], made: (name: string) => string): string[] {
  const seen = new Map<string, string>();
  return names.flatMap((name) => {
    const other = seen.get(made(name));
    seen.set(made(name), name);
    return other === undefined ? [] : [`${what} ${name}: code would call it ${made(name)}, as ${other}`];
  });
}
