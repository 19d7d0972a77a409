/**
 * The canonical form of the contract: JSON without white space, with sorted keys, and without titles, descriptions and examples, which
 * change nothing for a program. A contract's hash is that of this form.
 */
import type { ContractDocument } from './document.ts';

const WORDING: ReadonlySet<string> = new Set(['title', 'description', 'subject', 'examples', 'x-name']);
/** Objects whose keys are names of the contract: `title` is a field like any other there. */
const NAMESPACES: ReadonlySet<string> = new Set(['properties', '$defs', 'x-drafts', 'x-channels', 'x-types', 'x-services', 'x-entities']);

/** The same text for two contracts exactly when no program can tell them apart. The order of lists counts. */
export function canonicalJson(document: ContractDocument): string {
  return write(document, false);
}

function write(value: unknown, keysAreNames: boolean): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => write(item, false)).join(',')}]`;
  const fields = Object.entries(value)
    .filter(([key]) => keysAreNames || !WORDING.has(key))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, field]) => `${JSON.stringify(key)}:${write(field, !keysAreNames && NAMESPACES.has(key))}`);
  return `{${fields.join(',')}}`;
}
