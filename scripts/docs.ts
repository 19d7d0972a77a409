/** `npm run docs:renew`: writes anew what the documents repeat of the code, between comments that mark it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { VARIABLES, type Variable } from '../src/config/variables.ts';
import { contractDocument } from '../src/contract/document.ts';
import { contract } from '../src/contracts/lumiere/contract.ts';
import { DEFAULT_LIMITS } from '../src/limits/limits.ts';
import { benchmarkBlock } from './bench/readme.ts';
import { readReport } from './bench/results.ts';
import { dataTable, entitiesTable, familiesTable, servicesTable } from './contract/markdown.ts';

const document = contractDocument(contract);

/** What is written, by the name of its part. */
const PARTS: Readonly<Record<string, () => string>> = {
  variables: variablesTable,
  limits: limitsBlock,
  services: () => servicesTable(document),
  entities: () => entitiesTable(document),
  data: () => dataTable(document),
  families: () => familiesTable(document),
  benchmark: () => benchmarkBlock(readReport()),
};

/** The documents with marked parts, and the parts that each has. */
export const DOCUMENTS: Readonly<Record<string, readonly string[]>> = {
  'README.md': ['variables', 'benchmark'],
  'SECURITY.md': ['limits'],
  'PROTOCOL.md': ['families', 'services', 'entities', 'data'],
};

/** A document with its marked parts as they should be. @throws when a part is not marked, or something else is. */
export function renewed(document: string, parts: readonly string[]): string {
  const unknown = [...document.matchAll(/<!-- begin (\w+): /g)].find(([, part]) => !parts.includes(part as string));
  if (unknown !== undefined) throw new Error(`nothing is known of ${unknown[0]}... -->`);
  return parts.reduce((text, part) => {
    const marked = new RegExp(`(<!-- begin ${part}: .*-->\n)[\\s\\S]*?(<!-- end ${part} -->)`);
    if (!marked.test(text)) throw new Error(`nothing is marked with <!-- begin ${part}: ... --> and <!-- end ${part} -->`);
    return text.replace(marked, (_all, begin: string, end: string) => `${begin}\n${PARTS[part]?.()}\n\n${end}`);
  }, document);
}

function variablesTable(): string {
  return ['| variable | default | value | meaning |', '| --- | --- | --- | --- |', ...VARIABLES.map(rowOf)].join('\n');
}

function rowOf({ name, description, form = 'any text', more, ...variable }: Variable): string {
  const fallback = 'value' in variable.default ? `\`${variable.default.value}\`` : variable.default.inWords;
  const meaning = more === undefined ? description : `${description} ([more](${more}))`;
  return `| ${[`\`${name}\``, fallback, form, meaning].map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function limitsBlock(): string {
  const { users, channels, ...limits } = DEFAULT_LIMITS;
  const all = { ...limits, users: Object.fromEntries(users), channels: Object.fromEntries(channels) };
  const lines = Object.entries(all).map(([name, own]) => `  "${name}": ${JSON.stringify(own, null, 1).replaceAll(/\n\s*/g, ' ')}`);
  return ['```json', '{', lines.join(',\n'), '}', '```'].join('\n');
}

/** Writes the documents. */
export function renewDocuments(): void {
  for (const [name, parts] of Object.entries(DOCUMENTS)) {
    const file = new URL(`../${name}`, import.meta.url);
    writeFileSync(file, renewed(readFileSync(file, 'utf8'), parts));
  }
}

if (import.meta.main) renewDocuments();
