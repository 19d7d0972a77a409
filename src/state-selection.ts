/** What a caller asks of the state: of which channels, entities and keys, and what has to hold for it. */
import type { z } from 'zod';
import type { Principal } from './auth/principal.ts';
import type { Contract } from './contract/contract.ts';
import type { Filter } from './contract/filter.ts';
import { findFault } from './contract/json.ts';
import { cut, invalidField } from './errors.ts';
import { issueMessage } from './issue-messages.ts';
import { readableChannels } from './subscribe.ts';

type Scalar = string | number | boolean;

export interface StateSelection {
  /** Channel names and patterns. */
  readonly channels: readonly string[];
  readonly entities: readonly string[];
  readonly keys?: readonly string[] | undefined;
  /** Only what goes on, or only what does not. */
  readonly open?: boolean | undefined;
  /** By field, `state.symbol`: the value that it has, or one of several. */
  readonly where?: Readonly<Record<string, Scalar | readonly Scalar[]>> | undefined;
}

/** What is said of a name that no entity has. */
export function noEntity({ entities }: Contract, name: string): string {
  return `there is no entity ${JSON.stringify(cut(name))}; there are ${[...entities.keys()].join(', ') || 'none'}`;
}

/** @throws {CourierError} BAD_REQUEST naming what is malformed; FORBIDDEN unless the principal may read all of the channels. */
export function selectionFrom(contract: Contract, principal: Principal, selection: StateSelection): Filter {
  const { channels, entities, keys, open, where } = selection;
  for (const [index, entity] of entities.entries()) {
    if (!contract.entities.has(entity)) throw invalidField(`entities.${index}`, noEntity(contract, entity));
  }
  const fields = conditionsFrom(contract, entities, where);
  return {
    channels: readableChannels(contract, principal, channels),
    types: new Set(entities),
    states: { open, keys: keys && new Set(keys), fields: fields.size === 0 ? undefined : fields },
  };
}

/** Fields in one request, values of one field, and UTF-16 units of a text, at most. */
const MAX_FIELDS = 10;
const MAX_VALUES = 100;
const MAX_TEXT_UNITS = 1000;

/** How a caller has named a condition, or a value in its list; without a field all of them. */
type PathOf = (field?: string, index?: number) => string;

const asInput: PathOf = (field, index) => ['where', field, index].filter((part) => part !== undefined).join('.');

/**
 * Reads conditions, whatever was given: by field of the state the values that it may have. All selected entities must have the field, and
 * one of them each value: what nothing can have would select nothing, and is a mistake.
 *
 * @throws {CourierError} BAD_REQUEST, naming the first that is wrong as `pathOf` does.
 */
export function conditionsFrom(
  contract: Contract,
  entities: readonly string[],
  where: unknown,
  pathOf: PathOf = asInput,
): Map<string, ReadonlySet<unknown>> {
  if (where === undefined) return new Map();
  if (!isPlainObject(where)) throw invalidField(pathOf(), 'must be an object, with values by fields such as state.symbol');
  const asked = Object.entries(where);
  if (asked.length > MAX_FIELDS) throw invalidField(pathOf(), `must have at most ${MAX_FIELDS} fields`);
  return new Map(
    asked.map(([path, given]) => {
      const [field, schemas] = fieldAt(contract, entities, path, pathOf(cut(path)));
      const values: readonly unknown[] = Array.isArray(given) ? given : [given];
      if (values.length === 0) throw invalidField(pathOf(path), 'must have at least 1 element');
      if (values.length > MAX_VALUES) throw invalidField(pathOf(path), `must have at most ${MAX_VALUES} elements`);
      for (const [index, value] of values.entries()) {
        const problem = valueProblem(schemas, value);
        if (problem !== undefined) throw invalidField(pathOf(path, Array.isArray(given) ? index : undefined), problem);
      }
      return [field, new Set(values)];
    }),
  );
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** A field of the state, and its schema in each of the entities, all of which must have it. */
function fieldAt(contract: Contract, entities: readonly string[], path: string, told: string): [field: string, schemas: z.ZodType[]] {
  if (!path.startsWith(STATE)) throw invalidField(told, 'must be a field of the state, such as state.symbol');
  const field = path.slice(STATE.length);
  const schemas = entities.map((entity) => {
    const schema = fieldSchema(contract, entity, field);
    if (schema === undefined) throw invalidField(told, `${entity} has no field ${JSON.stringify(cut(field))}`);
    if (!isScalar(schema)) throw invalidField(told, `${field} of ${entity} is no text, number or boolean`);
    return schema;
  });
  return [field, schemas];
}

/** Why no field with one of these schemas can have the value. */
function valueProblem(schemas: readonly z.ZodType[], value: unknown): string | undefined {
  if (!['string', 'number', 'boolean'].includes(typeof value)) return 'must be a text, a number or a boolean, or a list of them';
  if (typeof value === 'string' && value.length > MAX_TEXT_UNITS) return `must have at most ${MAX_TEXT_UNITS} characters`;
  const problems = schemas.map((schema) => schema.safeParse(value, { error: issueMessage }).error?.issues[0]?.message);
  // What no state can have in any field.
  if (problems.includes(undefined)) return findFault(value)?.message;
  return [...new Set(problems)].join(', or ');
}

/**
 * What a text may mean for a field, where nothing but the field says whether it is a text, a number or a boolean; the text itself where
 * the field can have none of that.
 */
export function readingsOf(contract: Contract, entities: readonly string[], path: string, text: string): readonly Scalar[] {
  const schemas = entities.map((name) => fieldSchema(contract, name, path.slice(STATE.length)));
  const readings: Scalar[] = [text, ...(BOOLEAN.test(text) ? [text === 'true'] : []), ...(NUMBER.test(text) ? [Number(text)] : [])];
  const fitting = readings.filter((reading) => schemas.some((schema) => schema?.safeParse(reading).success));
  return fitting.length === 0 ? [text] : fitting;
}

const BOOLEAN = /^(true|false)$/;
/** As JSON has them, and with noughts before it. */
const NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;
/** What a path of a field begins with. */
const STATE = 'state.';

/** The schema of a field of an entity's state. */
export function fieldSchema(contract: Contract, entity: string, field: string): z.ZodType | undefined {
  const { shape = {} } = contract.entities.get(entity)?.schema ?? {};
  // What every object has is no field.
  return Object.hasOwn(shape, field) ? (shape[field] as z.ZodType) : undefined;
}

const SCALARS: ReadonlySet<string> = new Set(['string', 'number', 'boolean', 'literal', 'enum', 'template_literal']);

function isScalar(schema: z.ZodType): boolean {
  const { type } = schema.def;
  if (type === 'optional' || type === 'nullable') return isScalar((schema as z.ZodOptional<z.ZodType>).unwrap());
  if (type === 'union') return (schema as z.ZodUnion<z.ZodType[]>).options.every(isScalar);
  return SCALARS.has(type);
}
