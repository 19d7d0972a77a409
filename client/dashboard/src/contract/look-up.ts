/** Looks things up in the contract's document. */
import type { ContractDocument, TypeOfEvents } from '../../../../src/contract/document.ts';
import { NOTICE_DESCRIPTIONS } from '../../../../src/contract/envelope.ts';
import type { JsonSchema } from '../../../../src/contract/json-schema.ts';
import { carriersOf } from '../../../../src/contract/samples.ts';

export interface Family {
  readonly name: string;
  /** The form of the names of its channels: `ship.{id}`. */
  readonly form: string;
  /** The pattern of the names. */
  readonly schema: JsonSchema;
  /** The field of data that is the id in the name. */
  readonly id: string | undefined;
}

/** The service that publishes a type; undefined for a type that the contract does not have. */
export function serviceOf(document: ContractDocument, type: string): string | undefined {
  return Object.entries(document['x-services']).find(([, types]) => types.includes(type))?.[0];
}

/** Every type that can be published, by service. */
export function typesOf(document: ContractDocument): string[] {
  return Object.values(document['x-services']).flat();
}

/** What the document says of a type; undefined for a type that the contract does not have. */
export function typeOf(document: ContractDocument, type: string): TypeOfEvents | undefined {
  const types = document['x-types'];
  return Object.hasOwn(types, type) ? types[type] : undefined;
}

/** What a type or a notice is for. */
export function descriptionOf(document: ContractDocument, type: string): string | undefined {
  return typeOf(document, type)?.description ?? NOTICE_DESCRIPTIONS[type];
}

/** The families whose channels may carry a type, the most specific first. */
export function familiesOf(document: ContractDocument, type: string): Family[] {
  return carriersOf(document, type).map(([name, { form, name: schema, id }]) => ({ name, form, schema, id }));
}

/** A family to show how names are written: the contract's first own one. */
export function familyToShow(document: ContractDocument | undefined): string {
  return Object.keys(document?.['x-channels'] ?? {}).find((family) => family !== 'global' && family !== 'user') ?? 'user';
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
