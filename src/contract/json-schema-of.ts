/** Makes the JSON Schema of a zod schema, and says what of it is outside the part that every client can be made from. */
import { z } from 'zod';
import { type JsonSchema, KEYWORDS } from './json-schema.ts';

/** @throws {Error} when the schema has something that no JSON is, such as a transform. */
export function jsonSchemaOf(schema: z.ZodType, options: z.core.ToJSONSchemaParams = {}): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    ...options,
    override: (context) => {
      const { jsonSchema } = context;
      // Of alternatives that a field tells apart only one can hold.
      if (jsonSchema.oneOf !== undefined) {
        jsonSchema.anyOf = jsonSchema.oneOf;
        delete jsonSchema.oneOf;
      }
      options.override?.(context);
    },
  });
  return rest as JsonSchema;
}

/** What of a schema no client can be made from, with its path; none when all of it can. */
export function schemaProblems(schema: z.ZodType): string[] {
  try {
    return problemsWithin(jsonSchemaOf(schema), '');
  } catch (error) {
    return [`: ${error instanceof Error ? error.message : String(error)}: declare what is sent, as JSON has it`];
  }
}

function problemsWithin(schema: JsonSchema, path: string): string[] {
  const strange = Object.keys(schema).find((keyword) => !KEYWORDS.has(keyword) && keyword !== '$defs');
  if (strange !== undefined) return [`${path}: ${INSTEAD[strange] ?? `has ${strange} in JSON Schema, from which clients cannot be made`}`];
  const { properties = {}, items, anyOf = [], additionalProperties, propertyNames } = schema;
  return [
    ...Object.entries(properties).flatMap(([name, field]) => problemsWithin(field, `${path}.${name}`)),
    ...(items === undefined ? [] : problemsWithin(items, `${path}[]`)),
    ...anyOf.flatMap((option) => problemsWithin(option, path)),
    ...(typeof additionalProperties === 'object' ? problemsWithin(additionalProperties, `${path}.*`) : []),
    ...(propertyNames === undefined ? [] : problemsWithin(propertyNames, `${path}: a key`)),
  ];
}

/** By keyword: what to declare in its place. */
const INSTEAD: Readonly<Record<string, string>> = {
  prefixItems: 'is a tuple: declare an object with a name for each part',
  default: 'has a default or a fallback: make it optional, and let readers say what its absence means',
  allOf: 'has several conditions of one kind: declare one, such as one regular expression',
  $ref: 'refers to itself: declare a bounded form, or z.unknown()',
};
