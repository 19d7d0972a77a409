/**
 * Writes JSON Schema as TypeScript types. Types cannot express bounds, patterns and formats, and leave them out. This file
 * refuses a schema with any other keyword that types cannot express.
 */
import type { JsonSchema, JsonType } from '../../src/contract/json-schema.ts';
import { strangeKeyword, typesOf, valuesOf } from './keywords.ts';

/** Characters in a line, at most: the formatter's limit, so that the formatter does not change the output. */
const LINE_WIDTH = 140;
/** Characters in a line of a comment, at most. */
const COMMENT_WIDTH = 120;

/**
 * The fields of an object, each with its comment, indented by `depth` steps.
 *
 * @throws {TypeError} naming the path of a schema that has no type
 */
export function fieldsOf(schema: JsonSchema, path: string, depth: number): string[] {
  refuseStrange(schema, path);
  const { properties, required = [], additionalProperties = false } = schema;
  if (properties === undefined || additionalProperties !== false) throw new TypeError(`${path} is no object of named fields`);
  return Object.entries(properties).flatMap(([name, property]) => {
    const line = field(name, alternatives(property, `${path}.${name}`, depth), depth, !required.includes(name));
    return property.description === undefined ? [line] : [comment(property.description, depth), line];
  });
}

/** `name?: A | B;`. Each alternative has its own line when all of them do not fit on one. */
export function field(name: string, types: readonly string[], depth: number, optional = false): string {
  const indent = '  '.repeat(depth);
  const key = `${indent}${/^[A-Za-z_$][\w$]*$/.test(name) ? name : quoted(name)}${optional ? '?' : ''}:`;
  const line = `${key} ${types.join(' | ')};`;
  return types.length === 1 || line.length <= LINE_WIDTH ? line : `${key}${types.map((type) => `\n${indent}  | ${type}`).join('')};`;
}

/** A doc comment on as many lines as it needs. */
export function comment(text: string, depth = 0): string {
  const indent = '  '.repeat(depth);
  const words = text.replaceAll('*/', '*\\/').split(/\s+/);
  const lines: string[] = [];
  let line = words.shift() ?? '';
  for (const word of words) {
    if (line.length + word.length < COMMENT_WIDTH) line += ` ${word}`;
    else {
      lines.push(line);
      line = word;
    }
  }
  if (lines.length === 0) return `${indent}/** ${line} */`;
  return `${indent}/**\n${[...lines, line].map((each) => `${indent} * ${each}\n`).join('')}${indent} */`;
}

/** A string literal, in single quotes unless that takes more escapes. */
export function quoted(text: string): string {
  const json = JSON.stringify(text);
  if (text.split("'").length > text.split('"').length) return json;
  return `'${json.slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}

/** The types of the values that `schema` accepts. */
function alternatives(schema: JsonSchema, path: string, depth: number): string[] {
  refuseStrange(schema, path);
  const { title: _title, description: _description, ...assertions } = schema;
  if (Object.keys(assertions).length === 0) return ['unknown'];
  const values = valuesOf(schema);
  if (values !== undefined) return values.map((value) => literal(value, path));
  const { anyOf, ...others } = assertions;
  if (anyOf !== undefined && Object.keys(others).length === 0) {
    return [...new Set(anyOf.flatMap((option, index) => alternatives(option, `${path}[${index}]`, depth)))];
  }
  const types = typesOf(schema);
  if (types === undefined || anyOf !== undefined) throw new TypeError(`${path} has no type`);
  return types.map((type) => typeText(type, schema, path, depth));
}

function typeText(type: JsonType, schema: JsonSchema, path: string, depth: number): string {
  switch (type) {
    case 'string':
    case 'boolean':
    case 'null':
      return type;
    case 'number':
    case 'integer':
      return 'number';
    case 'array': {
      const items = alternatives(schema.items ?? {}, `${path}[]`, depth);
      return items.length === 1 ? `${items[0]}[]` : `(${items.join(' | ')})[]`;
    }
    case 'object':
      if (schema.properties === undefined) return record(schema, path, depth);
      return `{\n${fieldsOf(schema, path, depth + 1).join('\n')}\n${'  '.repeat(depth)}}`;
  }
}

/** An object whose keys are not known. */
function record({ additionalProperties = true, propertyNames = {}, required }: JsonSchema, path: string, depth: number): string {
  refuseStrange(propertyNames, `${path}: a key`);
  const keysAreKnown = valuesOf(propertyNames) !== undefined || required !== undefined;
  if (keysAreKnown || additionalProperties === false) throw new TypeError(`${path} is no object of free keys`);
  const values = additionalProperties === true ? ['unknown'] : alternatives(additionalProperties, `${path}.*`, depth);
  return `Record<string, ${values.join(' | ')}>`;
}

function refuseStrange(schema: JsonSchema, path: string): void {
  const keyword = strangeKeyword(schema);
  if (keyword !== undefined) throw new TypeError(`${path} says ${keyword}, for which no type is known`);
}

function literal(value: unknown, path: string): string {
  if (typeof value === 'string') return quoted(value);
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new TypeError(`${path} takes ${JSON.stringify(value)}, which is no literal type`);
}
