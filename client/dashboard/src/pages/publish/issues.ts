/** The place on the page of each fault of an event. */
import type { Issue } from '@lumiere/courier-client';
import { type ErrorSchema, ErrorSchemaBuilder } from '@rjsf/utils';
import type { JsonSchema } from '../../../../../src/contract/json-schema.ts';
import { elementsOf, isFreeForm, partOf } from './form-data.ts';

/** Fields beside the data, by their paths. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  'channel',
  'metadata.timestamp',
  'metadata.correlation_id',
  'metadata.user_id',
  'idempotency_key',
]);

/** The path of the field that shows the fault at `path`; undefined when the page has none. */
export function fieldOf(path: string, schema: JsonSchema, isJson: boolean): string | undefined {
  if (OWN_FIELDS.has(path)) return path;
  const [root, ...names] = path.split('.');
  if (root !== 'data') return undefined;
  if (isJson) return 'data';
  return names.length === 0 ? undefined : formField(names, schema, root);
}

function formField([name, ...rest]: readonly string[], schema: JsonSchema, path: string): string | undefined {
  if (name === undefined || isFreeForm(schema)) return path;
  const part = schema.type === 'array' ? elementsOf(schema) : partOf(schema, name);
  return part === undefined ? undefined : formField(rest, part, `${path}.${name}`);
}

/** The faults of a field, those deeper within it with their paths. */
export function messageAt(field: string, { path, message }: Issue): string {
  return path === field ? message : `${path.slice(field.length + 1)}: ${message}`;
}

/** The faults of the data, for its form. */
export function formErrors(issues: readonly Issue[], schema: JsonSchema): ErrorSchema {
  const builder = new ErrorSchemaBuilder();
  for (const issue of issues) {
    const field = fieldOf(issue.path, schema, false);
    const [root, ...names] = field?.split('.') ?? [];
    if (field !== undefined && root === 'data') builder.addErrors(messageAt(field, issue), names);
  }
  return builder.ErrorSchema;
}
