/**
 * Reads JSON with the keys that were written. V8's `JSON.parse` (from 12.8 on, nodejs/node#63785) confuses a key that has
 * an escape with one that it read before at the same place in an object: once anybody sent `{"a":0,"\\n":1}`, whose second
 * key is a backslash and an n, everybody's `{"a":0,"\nx":1}` may come out with that key. Texts without such keys, which
 * are nearly all, are V8's to read; the others are read by a parser that looks no key up.
 */
import { parse } from 'lossless-json';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const WHITE_SPACE: ReadonlySet<string | undefined> = new Set([' ', '\t', '\n', '\r']);
const nativeParse = JSON.parse;

/** As `JSON.parse`. @throws {SyntaxError} when `text` is not JSON, or has a key with an escape and is nested by the thousands. */
export function parseJson(text: string): unknown {
  if (!hasEscapedKey(text)) return nativeParse(text);
  try {
    return parse(text, undefined, { parseNumber: Number, onDuplicateKey: ({ newValue }) => newValue });
  } catch (error) {
    if (error instanceof RangeError) throw new SyntaxError('JSON is nested too deeply', { cause: error });
    throw error;
  }
}

/** Of a text that is not JSON this may be wrong. */
function hasEscapedKey(text: string): boolean {
  let at = text.indexOf('\\');
  while (at !== -1) {
    at = endOfString(text, at);
    while (WHITE_SPACE.has(text[at])) at += 1;
    if (text[at] === ':') return true;
    at = text.indexOf('\\', at);
  }
  return false;
}

/** Where the string ends in which `from` lies. */
function endOfString(text: string, from: number): number {
  let at = from;
  while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at + 1;
}
