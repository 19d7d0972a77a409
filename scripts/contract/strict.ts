/** Schemas in the form that says all that Courier sends. */
import type { JsonSchema } from '../../src/contract/json-schema.ts';

/** The strict form of a schema that may be open. Courier sends the fields of the schema and no others. */
export function strict(schema: JsonSchema): JsonSchema {
  const { properties, items, anyOf, additionalProperties } = schema;
  return {
    ...schema,
    ...(properties && { properties: Object.fromEntries(Object.entries(properties).map(([name, field]) => [name, strict(field)])) }),
    ...(properties && { additionalProperties: additionalProperties ?? false }),
    ...(typeof additionalProperties === 'object' && { additionalProperties: strict(additionalProperties) }),
    ...(items && { items: strict(items) }),
    ...(anyOf && { anyOf: anyOf.map(strict) }),
  };
}
