/** Looks up one type in the contract's document. */
import type { ContractDocument } from '../../../../../src/contract/document.ts';
import type { JsonSchema } from '../../../../../src/contract/json-schema.ts';

export interface Family {
  readonly name: string;
  /** The form of the names of its channels: `backtest.{id}`. */
  readonly form: string;
  /** The pattern of the names. */
  readonly schema: JsonSchema;
}

/** The service that publishes a type; undefined for a type that the contract does not have. */
export function serviceOf(document: ContractDocument, type: string): string | undefined {
  return Object.entries(document['x-services']).find(([, types]) => types.includes(type))?.[0];
}

/** The families whose channels may carry a type, the most specific first. */
export function familiesOf(document: ContractDocument, type: string): Family[] {
  return Object.entries(document['x-channels'])
    .filter(([, { types }]) => types.includes(type))
    .map(([name, { form, name: schema }]) => ({ name, form, schema }))
    .reverse();
}

/** Whether a family has a channel of this name. */
export function hasChannel({ schema: { const: only, pattern } }: Family, channel: string): boolean {
  return only === undefined ? pattern !== undefined && new RegExp(pattern, 'u').test(channel) : channel === only;
}

/** The schema of a draft of a type. */
export function draftSchemaOf(document: ContractDocument, type: string): JsonSchema {
  return document['x-drafts'][type] ?? {};
}

/** The schema of the data of a type or a notice. */
export function dataSchemaOf(document: ContractDocument, type: string): JsonSchema {
  return (document['x-drafts'][type] ?? document.$defs[type])?.properties?.['data'] ?? {};
}
