/** What a caller asks of the state: of which channels, entities and keys, and what has to hold for it. */
import type { z } from 'zod';
import type { Principal } from './auth/principal.ts';
import type { Contract } from './contract/contract.ts';
import type { Filter } from './contract/filter.ts';
import { cut, invalidField } from './errors.ts';
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
  const { channels, entities, keys, open, where = {} } = selection;
  for (const [index, entity] of entities.entries()) {
    if (!contract.entities.has(entity)) throw invalidField(`entities.${index}`, noEntity(contract, entity));
  }
  const fields = new Map(
    Object.entries(where).map(([path, values]) => [
      fieldAt(contract, entities, path),
      new Set<unknown>(Array.isArray(values) ? values : [values]),
    ]),
  );
  return {
    channels: readableChannels(contract, principal, channels),
    types: new Set(entities),
    states: { open, keys: keys && new Set(keys), fields: fields.size === 0 ? undefined : fields },
  };
}

/** All entities that are selected must have the field. */
function fieldAt(contract: Contract, entities: readonly string[], path: string): string {
  const field = path.startsWith('state.') ? path.slice('state.'.length) : undefined;
  if (field === undefined) throw invalidField(`where.${path}`, 'must be a field of the state, such as state.symbol');
  for (const entity of entities) {
    const schema = fieldSchema(contract, entity, field);
    if (schema === undefined) throw invalidField(`where.${path}`, `${entity} has no field ${JSON.stringify(field)}`);
    if (!isScalar(schema)) throw invalidField(`where.${path}`, `${field} of ${entity} is no text, number or boolean`);
  }
  return field;
}

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
