/** Makes the JSON Schema of a zod schema, and says what of it is outside the part that every client can be made from. */
import { z } from 'zod';
import { type JsonSchema, KEYWORDS } from './json-schema.ts';

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

/** What of a schema no client can be made from, with its place; none when all of it can. */
export function jsonSchemaProblems(schema: z.ZodType, path = 'data'): string[] {
  return problemsWithin(jsonSchemaOf(schema), path);
}

function problemsWithin(schema: JsonSchema, path: string): string[] {
  const strange = Object.keys(schema).find((keyword) => !KEYWORDS.has(keyword));
  if (strange === 'allOf') return [`${path}: has several conditions of one kind: declare one, such as one regular expression`];
  if (strange !== undefined) return [`${path}: has ${strange} in JSON Schema, from which clients cannot be made`];
  const { properties = {}, items, anyOf = [], additionalProperties } = schema;
  return [
    ...Object.entries(properties).flatMap(([name, field]) => problemsWithin(field, `${path}.${name}`)),
    ...(items === undefined ? [] : problemsWithin(items, `${path}[]`)),
    ...anyOf.flatMap((option) => problemsWithin(option, path)),
    ...(typeof additionalProperties === 'object' ? problemsWithin(additionalProperties, `${path}.*`) : []),
  ];
}
