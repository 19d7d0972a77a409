/**
 * The one way to write the contract down for comparison: JSON without white space, keys in order, and without `title`
 * and `description`, which change nothing for a program. `CONTRACT_HASH` is made of it.
 */
import type { ContractDocument } from './document.ts';

const WORDING: ReadonlySet<string> = new Set(['title', 'description']);
/** The keys of these are names that the contract gives: there, `title` is a field like any other. */
const NAMESPACES: ReadonlySet<string> = new Set(['properties', '$defs', 'x-drafts', 'x-channels', 'x-services']);

/** Equal for two contracts just when programs cannot tell them apart. Order in lists counts. */
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
