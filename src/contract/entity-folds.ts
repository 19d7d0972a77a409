/**
 * Tells one reducer from another, however it is written: by what it makes of the examples of its types, in every order of up to
 * three; the order in which types and fields are declared makes no other. Where that is another, the entity needs another version.
 */
import type { Contract } from './contract.ts';
import type { Entity, FoldedEvent } from './entities.ts';

/** Sequences of examples, at most, about: with more types they are shorter. */
const MAX_SEQUENCES = 1000;
const LONGEST = 3;

/** The same text for reducers that make the same. */
export function foldsOf(contract: Contract, entity: Entity): string {
  const events = entity.types.toSorted().flatMap((type, index) => exampleOf(contract, type, index));
  let length = LONGEST;
  while (length > 1 && events.length ** length > MAX_SEQUENCES) length -= 1;
  const made: unknown[] = [];
  const walk = (state: object | undefined, left: number) => {
    for (const event of events) {
      const folded = entity.fold(state, event);
      const next = folded.problem === undefined ? folded.state : state;
      made.push(folded.problem ?? (next === undefined ? null : [next, entity.isOpen(next)]));
      if (left > 1) walk(next, left - 1);
    }
  };
  walk(undefined, length);
  return hashOf(JSON.stringify(made, sortedKeys));
}

/** For JSON.stringify: in which order a state has its fields makes no other state. */
function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function exampleOf(contract: Contract, type: string, index: number): FoldedEvent[] {
  const { channel, data } = contract.sampleOf(type);
  const timestamp = new Date(Date.UTC(2026, 0, 31, 9, 30, index)).toISOString();
  const metadata = { timestamp, source: contract.serviceOf(type) ?? 'courier' };
  return [{ id: `4f9xq2-${index + 1}`, channel, type, metadata, data }];
}

/** FNV-1a (RFC 9923) of 32 bits, twice, the second time of the text with its units turned around: not for secrets. */
function hashOf(text: string): string {
  let [a, b] = [0x811c9dc5, 0x811c9dc5];
  for (let at = 0; at < text.length; at += 1) {
    a = Math.imul(a ^ text.charCodeAt(at), 0x01000193);
    b = Math.imul(b ^ text.charCodeAt(text.length - 1 - at), 0x01000193);
  }
  return [a, b].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
}
