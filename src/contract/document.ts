/**
 * The contract for machines: JSON Schema (2020-12) of every event as subscribers receive it in plain JSON, of every draft, and
 * the types that each channel carries. The AsyncAPI document, the generated TypeScript and Python, and the verdict on a change
 * of the contract are all derived from this document.
 */
import { z } from 'zod';
import { CHANNEL_FAMILIES, type ChannelFamily, familyForm } from './channels.ts';
import { callerToken, draftMetadata, draftSchema } from './draft.ts';
import { courierEvents, NOTICE_CHANNEL } from './events/courier.ts';
import { EVENT_TYPES, type EventType, familiesOf, SERVICE_NAMES, SERVICES, serviceOf, typesOn } from './events/index.ts';
import { channelIn } from './fields.ts';
import type { JsonSchema } from './json-schema.ts';
import { position } from './position.ts';
import { traceparent } from './traceparent.ts';

/** The channels of a family: their names, and the types that they carry. */
export interface FamilyOfChannels {
  /** The form of their names for people, such as `backtest.{id}`. */
  readonly form: string;
  readonly name: JsonSchema;
  readonly types: readonly string[];
}

export interface ContractDocument {
  readonly $schema: string;
  readonly title: string;
  readonly description: string;
  /** Any event or notice. */
  readonly oneOf: readonly { readonly $ref: string }[];
  /** By type: the event or notice as subscribers receive it. Open: a later Courier may add fields, and receivers ignore them. */
  readonly $defs: Readonly<Record<string, JsonSchema>>;
  /** By type: the draft of an event. Strict: Courier refuses a field that is not listed. */
  readonly 'x-drafts': Readonly<Record<string, JsonSchema>>;
  /** By family. */
  readonly 'x-channels': Readonly<Record<string, FamilyOfChannels>>;
  /** By service: the types that only this service publishes. */
  readonly 'x-services': Readonly<Record<string, readonly string[]>>;
  /** The types of `$defs` that nobody publishes: Courier sends them to every subscription. */
  readonly 'x-notices': readonly string[];
}

const metadata = z.strictObject({
  timestamp: z.iso.datetime().describe('When it happened: ISO 8601 in UTC.'),
  source: z.string().describe("Who published it: the `sub` of the publisher's token."),
  correlation_id: callerToken.optional().describe('Ties together what belongs to one piece of work, across services.'),
  user_id: callerToken.optional().describe('The user on whose behalf it happened.'),
  traceparent: traceparent.optional(),
});

/** The metadata of a draft in plain JSON, which has no dates. */
const plainDraftMetadata = draftMetadata.extend({
  timestamp: z.iso.datetime({ offset: true }).optional().describe('When it happened: ISO 8601. The time of publishing when absent.'),
});

/** Makes the document, which is equal for equal contracts. */
export function contractDocument(): ContractDocument {
  const notices = Object.entries<z.ZodType>(courierEvents);
  const $defs = Object.fromEntries([
    ...EVENT_TYPES.map((type) => [type, received(type, channelIn(familiesOf(type)), dataOf(type))] as const),
    ...notices.map(([type, data]) => [type, received(type, z.literal(NOTICE_CHANNEL), data)] as const),
  ]);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Events of Courier',
    description: 'Every event as subscribers get it in plain JSON, by type; those of courier itself are notices.',
    oneOf: Object.keys($defs).map((type) => ({ $ref: `#/$defs/${type}` })),
    $defs,
    'x-drafts': Object.fromEntries(EVENT_TYPES.map((type) => [type, draft(type)])),
    'x-channels': Object.fromEntries(CHANNEL_FAMILIES.map((family) => [family, channelsOf(family)])),
    'x-services': Object.fromEntries(SERVICE_NAMES.map((service) => [service, Object.keys(SERVICES[service].events)])),
    'x-notices': notices.map(([type]) => type),
  };
}

function channelsOf(family: ChannelFamily): FamilyOfChannels {
  const [name = {}] = schemaOf(channelIn([family])).anyOf ?? [];
  return { form: familyForm(family), name, types: typesOn([family]) };
}

function dataOf(type: EventType): z.ZodType {
  const { events } = SERVICES[serviceOf(type) as keyof typeof SERVICES];
  return (events as Record<string, z.ZodType>)[type] as z.ZodType;
}

function received(type: string, channel: z.ZodType, data: z.ZodType): JsonSchema {
  return schemaOf(z.strictObject({ id: position, channel, type: z.literal(type), metadata, data }), {
    // Publishers may send known keys only; receivers must accept the keys that a later Courier adds.
    override: ({ jsonSchema }) => {
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    },
  });
}

function draft(type: EventType): JsonSchema {
  const { shape } = draftSchema(type, familiesOf(type), z.never());
  return schemaOf(z.strictObject({ ...shape, data: dataOf(type), metadata: plainDraftMetadata.optional() }));
}

function schemaOf(schema: z.ZodType, options?: z.core.ToJSONSchemaParams): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, options);
  return rest as JsonSchema;
}
