/** Reads JSON that a user types, with the place of a fault. Browsers report the place in different words, or not at all. */
import { parseJson } from '../../../../../src/contract/json-text.ts';

export type JsonText = { readonly value: unknown } | { readonly fault: string };

/** Reads JSON. A fault has its line and column, both from 1. */
export function readJson(text: string): JsonText {
  const offset = faultAt(text);
  if (offset === undefined) return { value: parseJson(text) };
  const before = text.slice(0, offset).split('\n');
  const place = `line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
  if (text.slice(offset).trim() === '') return { fault: `is not JSON: it ends too early, at ${place}` };
  return { fault: `is not JSON from ${place} on: ${text.slice(offset, offset + 20).trimEnd()}` };
}

/** A token, and before it what may stand between tokens. */
const SPACE = /[ \t\r\n]*/y;
const TOKEN =
  /[{}[\],:]|"(?:[^"\\\p{Cc}]|[\u007f-\u009f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/uy;

type Expected = 'value' | 'item or ]' | 'key' | 'key or }' | ':' | ', or end';

/** The offset of the first wrong character of `text`; the length of `text` when it ends too early; undefined for JSON. */
function faultAt(text: string): number | undefined {
  const open: string[] = [];
  let expected: Expected = 'value';
  for (let offset = 0; ; ) {
    offset += lengthOf(SPACE, text, offset);
    if (offset === text.length && expected === ', or end' && open.length === 0) return undefined;
    const length = lengthOf(TOKEN, text, offset);
    const next: Expected | undefined = length === 0 ? undefined : follow(expected, text.slice(offset, offset + length), open);
    if (next === undefined) return offset;
    expected = next;
    offset += length;
  }
}

function lengthOf(pattern: RegExp, text: string, offset: number): number {
  pattern.lastIndex = offset;
  return pattern.exec(text)?.[0].length ?? 0;
}

/** The tokens that may follow `token`; undefined when `token` is wrong here. `open` are the open brackets. */
function follow(expected: Expected, token: string, open: string[]): Expected | undefined {
  if (token === '}' || token === ']') {
    const isDue = expected === ', or end' || expected === (token === '}' ? 'key or }' : 'item or ]');
    return isDue && open.pop() === (token === '}' ? '{' : '[') ? ', or end' : undefined;
  }
  if (token === ',') return expected !== ', or end' || open.length === 0 ? undefined : open.at(-1) === '{' ? 'key' : 'value';
  if (token === ':') return expected === ':' ? 'value' : undefined;
  if (expected === 'key' || expected === 'key or }') return token.startsWith('"') ? ':' : undefined;
  if (expected !== 'value' && expected !== 'item or ]') return undefined;
  if (token !== '{' && token !== '[') return ', or end';
  open.push(token);
  return token === '{' ? 'key or }' : 'item or ]';
}
