/**
 * The contract for machines: JSON Schema (2020-12) of every event as subscribers get it in plain JSON, and which channels
 * carry which types. Clients in other languages are made from it.
 */
import { z } from 'zod';
import { CHANNEL_FAMILIES, type ChannelFamily, channelIn, familyForm } from './channels.ts';
import { callerToken } from './envelope.ts';
import { courierEvents, NOTICE_CHANNEL } from './events/courier.ts';
import { EVENT_TYPES, familiesOf, SERVICE_NAMES, SERVICES, serviceOf, typesOn } from './events/index.ts';
import { position } from './position.ts';
import { traceparent } from './traceparent.ts';

type JsonSchema = Readonly<Record<string, unknown>>;

export interface ContractDocument {
  readonly $schema: string;
  readonly title: string;
  readonly description: string;
  /** Any event or notice. */
  readonly oneOf: readonly { readonly $ref: string }[];
  /** By type: the event as it is received. */
  readonly $defs: Readonly<Record<string, JsonSchema>>;
  /** By family: how its channels are called, and what they carry. */
  readonly 'x-channels': Readonly<Record<ChannelFamily, { readonly form: string; readonly types: readonly string[] }>>;
  /** By service: the types that only it publishes. */
  readonly 'x-services': Readonly<Record<string, readonly string[]>>;
}

const metadata = z.strictObject({
  timestamp: z.iso.datetime().describe('When it happened: ISO 8601 in UTC.'),
  source: z.string().describe("Who published it: the `sub` of the publisher's token."),
  correlation_id: callerToken.optional().describe('Ties together what belongs to one piece of work, across services.'),
  user_id: callerToken.optional().describe('The user on whose behalf it happened.'),
  traceparent: traceparent.optional(),
});

/** Makes the document. It is the same for the same contract. */
export function contractDocument(): ContractDocument {
  const events = EVENT_TYPES.map((type) => {
    const service = SERVICES[serviceOf(type) as keyof typeof SERVICES];
    const data = (service.events as Record<string, z.ZodType>)[type] as z.ZodType;
    return [type, envelope(type, channelIn(familiesOf(type)), data)] as const;
  });
  const notices = Object.entries<z.ZodType>(courierEvents).map(
    ([type, data]) => [type, envelope(type, z.literal(NOTICE_CHANNEL), data)] as const,
  );
  const $defs = Object.fromEntries([...events, ...notices]);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Events of Courier',
    description: 'Every event as subscribers get it in plain JSON, by type; those of courier itself are notices.',
    oneOf: Object.keys($defs).map((type) => ({ $ref: `#/$defs/${type}` })),
    $defs,
    'x-channels': Object.fromEntries(
      CHANNEL_FAMILIES.map((family) => [family, { form: familyForm(family), types: typesOn([family]) }]),
    ) as unknown as ContractDocument['x-channels'],
    'x-services': Object.fromEntries(SERVICE_NAMES.map((service) => [service, Object.keys(SERVICES[service].events)])),
  };
}

function envelope(type: string, channel: z.ZodType, data: z.ZodType): JsonSchema {
  const { $schema: _, ...schema } = z.toJSONSchema(z.strictObject({ id: position, channel, type: z.literal(type), metadata, data }), {
    // Who publishes may send known keys only; who receives must take those that a later Courier adds.
    override: ({ jsonSchema }) => {
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    },
  });
  return schema;
}
