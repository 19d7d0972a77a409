/**
 * The contract for machines: JSON Schema (2020-12) of every event as subscribers receive it in plain JSON, of every draft, and
 * the types that each channel carries. The AsyncAPI document, the generated TypeScript and Python, and the verdict on a change
 * of the contract are all derived from this document.
 */
import { z } from 'zod';
import { familyForm } from './channels.ts';
import type { Contract, EventTypeInfo } from './contract.ts';
import { callerToken, draftFields, draftMetadata } from './draft.ts';
import { foldsOf } from './entity-folds.ts';
import { NOTICE_CHANNEL } from './envelope.ts';
import { channelIn } from './fields.ts';
import type { JsonSchema } from './json-schema.ts';
import { jsonSchemaOf } from './json-schema-of.ts';
import { NOTICES } from './notices.ts';
import { position } from './position.ts';
import { traceparent } from './traceparent.ts';

/** The channels of a family: their names, and the types that they carry. */
export interface FamilyOfChannels {
  /** The form of their names for people, such as `user.{id}`. */
  readonly form: string;
  readonly name: JsonSchema;
  /** The field of data that is the id in the name: where the data has it, both are equal. */
  readonly id?: string;
  /** What has a channel of the family, for people. */
  readonly title?: string;
  readonly types: readonly string[];
}

/** What schemas do not say of a type that is published. */
export interface TypeOfEvents {
  readonly description: string;
  /** The field of the data that names what the event is about. */
  readonly subject?: string;
  /** Of the data's form: it counts the breaking changes. */
  readonly version: number;
  /** The earlier versions whose stored events are brought to the present one; absent when there are none. */
  readonly upcasts?: readonly number[];
  /** Data as publishers hand it in. */
  readonly examples: readonly unknown[];
}

/** A thing whose state the gateway keeps. */
export interface EntityOfState {
  readonly description: string;
  /** The fields that name one of them, in the order in which they stand in its key. */
  readonly key: readonly string[];
  /** The types that change it. */
  readonly types: readonly string[];
  /** The families whose channels have it. */
  readonly families: readonly string[];
  /** Of the state's form, and of what its reducer makes. */
  readonly version: number;
  /** The earlier versions whose last states are brought to the present one; absent when there are none. */
  readonly migrates?: readonly number[];
  /** A hash of what the reducer makes of the examples of its types: another reducer has another. */
  readonly folds: string;
  /** As who watches it receives it. Open, as `$defs` are. */
  readonly state: JsonSchema;
}

export interface ContractDocument {
  readonly $schema: string;
  readonly title: string;
  readonly description: string;
  /** Names the contract. */
  readonly 'x-name': string;
  /** Any event or notice. */
  readonly oneOf: readonly { readonly $ref: string }[];
  /** By type: the event or notice as subscribers receive it. Open: a later Courier may add fields, and receivers ignore them. */
  readonly $defs: Readonly<Record<string, JsonSchema>>;
  /** By type: the draft of an event. Strict: Courier refuses a field that is not listed. */
  readonly 'x-drafts': Readonly<Record<string, JsonSchema>>;
  /** By family. */
  readonly 'x-channels': Readonly<Record<string, FamilyOfChannels>>;
  /** By type. */
  readonly 'x-types': Readonly<Record<string, TypeOfEvents>>;
  /** By service: the types that only this service publishes. */
  readonly 'x-services': Readonly<Record<string, readonly string[]>>;
  /** The types of `$defs` that nobody publishes: Courier sends them to every subscription. */
  readonly 'x-notices': readonly string[];
  /** By name: the entities; absent when there are none. */
  readonly 'x-entities'?: Readonly<Record<string, EntityOfState>>;
}

const metadata = z.strictObject({
  timestamp: z.iso.datetime().describe('When it happened: ISO 8601 in UTC.'),
  source: z.string().describe("Who published it: the `sub` of the publisher's token."),
  correlation_id: callerToken
    .optional()
    .describe('Ties together what belongs to one piece of work, across services. Of an event that begins one its id.'),
  causation_id: position.optional().describe('The id of the event that led to this one.'),
  user_id: callerToken.optional().describe('The user on whose behalf it happened.'),
  traceparent: traceparent.optional(),
});

/** The metadata of a draft in plain JSON, which has no dates. */
const plainDraftMetadata = draftMetadata.extend({
  timestamp: z.iso.datetime({ offset: true }).optional().describe('When it happened: ISO 8601. The time of publishing when absent.'),
});

/** Makes the document, which is equal for equal contracts. */
export function contractDocument(contract: Contract): ContractDocument {
  const types = [...contract.types.values()];
  const notices = Object.entries<z.ZodType>(NOTICES);
  const $defs = Object.fromEntries([
    ...types.map(({ type, families, data }) => [type, received(type, channelIn(families), data)] as const),
    ...notices.map(([type, data]) => [type, received(type, z.literal(NOTICE_CHANNEL), data)] as const),
  ]);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Events of Courier',
    description: 'Every event as subscribers get it in plain JSON, by type; those of courier itself are notices.',
    'x-name': contract.name,
    oneOf: Object.keys($defs).map((type) => ({ $ref: `#/$defs/${type}` })),
    $defs,
    'x-drafts': Object.fromEntries(types.map((info) => [info.type, draft(info)])),
    'x-channels': Object.fromEntries(contract.channels.families.map((family) => [family, channelsOf(contract, family)])),
    'x-types': Object.fromEntries(types.map((info) => [info.type, about(info)])),
    'x-services': Object.fromEntries(contract.services),
    'x-notices': notices.map(([type]) => type),
    ...(contract.entities.size > 0 && { 'x-entities': entitiesOf(contract) }),
  };
}

function channelsOf(contract: Contract, family: string): FamilyOfChannels {
  const [name = {}] = jsonSchemaOf(channelIn([family])).anyOf ?? [];
  const { id, title } = contract.families.get(family) ?? {};
  return {
    form: familyForm(family),
    name,
    ...(id !== undefined && { id }),
    ...(title !== undefined && { title }),
    types: contract.typesOn(family),
  };
}

function about({ description, subject, version, earlier, examples }: EventTypeInfo): TypeOfEvents {
  const upcasts = [...earlier.keys()].sort((a, b) => a - b);
  return { description, ...(subject !== undefined && { subject }), version, ...(upcasts.length > 0 && { upcasts }), examples };
}

function entitiesOf(contract: Contract): Record<string, EntityOfState> {
  const entities = [...contract.entities].map(([name, entity]) => {
    const { description, key, types, families, version, earlier, schema } = entity;
    const migrates = [...earlier.keys()].sort((a, b) => a - b);
    const folds = foldsOf(contract, entity);
    const about = { description, key, types, families, version, ...(migrates.length > 0 && { migrates }), folds };
    return [name, { ...about, state: jsonSchemaOf(schema, OPEN) }] as const;
  });
  return Object.fromEntries(entities);
}

// Publishers may send known keys only; receivers must accept the keys that a later Courier adds.
const OPEN: z.core.ToJSONSchemaParams = {
  override: ({ jsonSchema }) => {
    if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
  },
};

function received(type: string, channel: z.ZodType, data: z.ZodType): JsonSchema {
  return jsonSchemaOf(z.strictObject({ id: position, channel, type: z.literal(type), metadata, data }), OPEN);
}

function draft(info: EventTypeInfo): JsonSchema {
  return jsonSchemaOf(z.strictObject({ ...draftFields(info), metadata: plainDraftMetadata.optional() }));
}
