/** Writes what people look up of a contract as tables in Markdown. */
import type { ContractDocument } from '../../src/contract/document.ts';
import type { JsonSchema } from '../../src/contract/json-schema.ts';
import { procedureOf } from '../../src/contract/names.ts';
import { own, typesOf, valuesOf } from './keywords.ts';

/** The services: which types each publishes, and on which channels beside those that carry every type. */
export function servicesTable(document: ContractDocument): string {
  const rows = Object.entries(document['x-services']).map(([service, types]) => {
    const forms = new Set(types.flatMap((type) => homesOf(document, type)));
    return [service, codes(types), codes([...forms])];
  });
  return table(['service', 'types', 'on the channels'], rows);
}

/** The fields of each type's data: the required ones, then the optional ones in brackets. */
export function dataTable(document: ContractDocument): string {
  const rows = Object.entries(document['x-types']).map(([type, { description, version }]) => {
    const data = own(document['x-drafts'], type)?.properties?.['data'] ?? {};
    return [code(type), fields(data), version === 1 ? description : `${description} Version ${version} of its form.`];
  });
  return table(['type', 'data', ''], rows);
}

/** The families: the names of their channels, the field that is the id, and the procedure that subscribes to one of them. */
export function familiesTable(document: ContractDocument): string {
  const rows = Object.entries(document['x-channels']).map(([family, { form, id, title = '' }]) => {
    const input = id === undefined ? '' : ` {${id}${family === 'user' ? '?' : ''}}`;
    return [code(form), title, id === undefined ? '' : code(id), code(`${procedureOf(family)}${input}`)];
  });
  return table(['channels', '', 'id', 'subscription over tRPC'], rows);
}

/** The entities: what names one of them, what changes it, and the fields of its state. */
export function entitiesTable(document: ContractDocument): string {
  const rows = Object.entries(document['x-entities'] ?? {}).map(([entity, { description, key, types, state }]) => [
    code(entity),
    code(key.join('/')),
    codes(types),
    fields(state),
    description,
  ]);
  return table(['entity', 'key', 'changed by', 'state', ''], rows);
}

/** The forms of the channels that carry a type, beside those that carry every type. */
function homesOf(document: ContractDocument, type: string): string[] {
  const families = Object.entries(document['x-channels']).filter(([family]) => family !== 'global' && family !== 'user');
  return families.filter(([, { types }]) => types.includes(type)).map(([, { form }]) => form);
}

function fields({ properties = {}, required = [] }: JsonSchema): string {
  const told = Object.entries(properties).map(([name, schema]) => ({ name, text: field(name, schema) }));
  const needed = told.filter(({ name }) => required.includes(name)).map(({ text }) => text);
  const optional = told.filter(({ name }) => !required.includes(name)).map(({ text }) => text);
  const inBrackets = optional.length === 0 ? [] : [`[${optional.join(', ')}]`];
  return [needed.join(', '), ...inBrackets].filter((part) => part !== '').join(' ');
}

function field(name: string, schema: JsonSchema): string {
  const values = valuesOf(schema);
  if (values !== undefined) return `${code(name)} (${values.map((value) => code(String(value))).join(', ')})`;
  const types = typesOf(schema) ?? [];
  if (types.includes('array')) return code(`${name}[]`);
  if (!types.includes('object')) return code(name);
  return schema.properties === undefined ? code(`${name}{}`) : `${code(name)} {${fields(schema)}}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function codes(names: readonly string[]): string {
  return names.map(code).join(', ');
}

function code(name: string): string {
  return `\`${name}\``;
}
