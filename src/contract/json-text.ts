/**
 * Reads JSON with the keys that the sender wrote. V8's `JSON.parse` (from 12.8 on, nodejs/node#63785) confuses a key that has
 * an escape with a key that it read earlier at the same place in an object: after one client sent `{"a":0,"\\n":1}`, whose
 * second key is a backslash and an n, V8 may read `{"a":0,"\nx":1}` of any client with that key. V8 reads texts without such
 * keys, which are nearly all. This file reads the others, and gives V8 each string separately.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const WHITE_SPACE: ReadonlySet<string | undefined> = new Set([' ', '\t', '\n', '\r']);
/** The rest of a string without escapes, including its end. */
const PLAIN = /[^"\\\p{Cc}]*"/uy;
const LITERAL = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const LITERALS: ReadonlyMap<string, boolean | null> = new Map([
  ['true', true],
  ['false', false],
  ['null', null],
]);
/** Levels of a text with escaped keys, at most; inputs of callers have far fewer. */
const MAX_DEPTH = 1000;
const nativeParse = JSON.parse;

/** Reads as `JSON.parse` does. @throws {SyntaxError} when `text` is not JSON, or has a key with an escape and a thousand levels. */
export function parseJson(text: string): unknown {
  return hasEscapedKey(text) ? new Reader(text).read() : nativeParse(text);
}

/**
 * The value of a text, and the paths of keys that an object has more than once, of which the last counts.
 *
 * @throws {SyntaxError} as `parseJson`.
 */
export function parseWithDuplicates(text: string): { readonly value: unknown; readonly duplicates: readonly string[] } {
  const duplicates: string[] = [];
  const path: string[] = [];
  const value = new Reader(text, {
    enter: (key, isTaken) => {
      path.push(key);
      if (isTaken) duplicates.push(path.join('.'));
    },
    leave: () => path.pop(),
  }).read();
  return { value, duplicates };
}

/** The answer may be wrong for a text that is not JSON. */
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

/** The end of the string that contains `from`. */
function endOfString(text: string, from: number): number {
  let at = from;
  while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at + 1;
}

/** Told of each key of an object before its value is read, and after. */
interface KeyListener {
  enter(key: string, isTaken: boolean): void;
  leave(): void;
}

class Reader {
  readonly #text: string;
  readonly #keys: KeyListener | undefined;
  #at = 0;
  #depth = 0;

  constructor(text: string, keys?: KeyListener) {
    this.#text = text;
    this.#keys = keys;
  }

  read(): unknown {
    const value = this.#value();
    if (this.#next() !== undefined) throw this.#fault();
    return value;
  }

  /** Skips white space and looks at the next character. */
  #next(): string | undefined {
    while (WHITE_SPACE.has(this.#text[this.#at])) this.#at += 1;
    return this.#text[this.#at];
  }

  #take(character: string): void {
    if (this.#next() !== character) throw this.#fault();
    this.#at += 1;
  }

  #value(): unknown {
    const next = this.#next();
    if (next === '"') return this.#string();
    if (next !== '{' && next !== '[') return this.#literal();
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw new SyntaxError('JSON is nested too deeply');
    this.#at += 1;
    const value = next === '{' ? this.#object() : this.#list();
    this.#depth -= 1;
    return value;
  }

  #object(): object {
    const object = {};
    if (this.#isEmpty('}')) return object;
    do {
      if (this.#next() !== '"') throw this.#fault();
      const key = this.#string();
      this.#take(':');
      this.#keys?.enter(key, Object.hasOwn(object, key));
      const value = this.#value();
      this.#keys?.leave();
      // An assignment to this key would set the prototype.
      if (key === '__proto__') Object.defineProperty(object, key, { value, configurable: true, enumerable: true, writable: true });
      else (object as Record<string, unknown>)[key] = value;
    } while (this.#isFollowed('}'));
    return object;
  }

  #list(): unknown[] {
    const list: unknown[] = [];
    if (this.#isEmpty(']')) return list;
    do list.push(this.#value());
    while (this.#isFollowed(']'));
    return list;
  }

  #isEmpty(end: string): boolean {
    if (this.#next() !== end) return false;
    this.#at += 1;
    return true;
  }

  /** Takes the comma before another element, or the end. */
  #isFollowed(end: string): boolean {
    if (this.#isEmpty(end)) return false;
    this.#take(',');
    return true;
  }

  #string(): string {
    const from = this.#at;
    PLAIN.lastIndex = from + 1;
    if (PLAIN.test(this.#text)) {
      this.#at = PLAIN.lastIndex;
      return this.#text.slice(from + 1, this.#at - 1);
    }
    this.#at = endOfString(this.#text, from + 1);
    return nativeParse(this.#text.slice(from, this.#at)) as string;
  }

  #literal(): unknown {
    LITERAL.lastIndex = this.#at;
    if (!LITERAL.test(this.#text)) throw this.#fault();
    const literal = this.#text.slice(this.#at, LITERAL.lastIndex);
    this.#at = LITERAL.lastIndex;
    return LITERALS.has(literal) ? LITERALS.get(literal) : Number(literal);
  }

  #fault(): SyntaxError {
    const what = this.#text[this.#at];
    return new SyntaxError(
      what === undefined ? 'Unexpected end of JSON input' : `Unexpected ${JSON.stringify(what)} at position ${this.#at}`,
    );
  }
}
