/**
 * Turns the patterns of the contract, which are JavaScript's, into Python's with the same meaning. A construct is taken only when
 * the tables below say that both read it alike, with the flag `u` and without: the document of a contract has no flags.
 */

/** What JavaScript's white space has besides that of ASCII. */
const WIDE_SPACES = '\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff';

/** Patterns of these parts mean the same in JavaScript, Python and Rust, whose patterns pydantic uses. */
const LITERAL = String.raw`[A-Za-z0-9_ ,:;@#%=!'"<>/-]|\\[.^$|?*+()[\]{}/-]`;
const IN_CLASS = String.raw`[A-Za-z0-9_ .,:;@#%=!'"<>/+*()?$|{}-]|\\[.^$|?*+()[\]{}/\\-]|\\x[0-9a-f]{2}`;
const COMMON = new RegExp(String.raw`^(?:${LITERAL}|[\^$|?*+)]|\((?:\?:)?(?!\?)|\{\d+(?:,\d*)?\}|\[(?:${IN_CLASS})+\])*$`);
/** Repetitions, one within another, that Rust still compiles. */
const MOST_REPETITIONS = 10_000;

/** Whether pydantic itself reads the pattern as JavaScript does. */
export function isCommonPattern(pattern: string): boolean {
  const repetitions = [...pattern.matchAll(/(\d+)(?:,\d*)?\}/g)].reduce((all, [counted]) => all * largest(counted), 1);
  return COMMON.test(pattern) && !/--|\[[^\]]*\|\|/.test(pattern) && repetitions <= MOST_REPETITIONS;
}

function largest(counted: string): number {
  return Math.max(1, ...(counted.match(/\d+/g) ?? []).map(Number));
}

/** A construct of JavaScript at the place of the reader, and what Python calls it. */
type Row = readonly [javaScript: RegExp, python: string | ((found: RegExpExecArray) => string)];

/** `\x41`, `\u00e9` and characters as they are; no half of a surrogate pair, which is a character without the flag `u` only. */
const CODE = /\\x[0-9a-fA-F]{2}|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}/y;
const PLAIN = String.raw`[^\\\ud800-\udfff]`;

/** What stands for characters outside of brackets. */
const CHARACTERS: readonly Row[] = [
  [/\[\]/y, '(?!)'],
  [/\[\^\]|\[\\s\\S\]|\[\\S\\s\]/y, '[\\s\\S]'],
  [/\./y, '[^\\n\\r\\u2028\\u2029]'],
  [/\\s/y, `[\\s${WIDE_SPACES}]`],
  [/\\S/y, `[^\\s${WIDE_SPACES}]`],
  [/\\[dDwW]/y, ([whole]) => whole],
  [/\\[fnrtv]/y, ([whole]) => whole],
  [/\\0(?!\d)/y, '\\x00'],
  [CODE, ([whole]) => whole],
  [/\\[\^$\\.*+?()[\]{}|/-]/y, ([whole]) => whole],
  // Without the flag `u` any other letter may have a backslash, which Python may read as something else.
  [/\\([ACE-OQRT-VX-Zaeg-jlmoqyz])/y, (found) => found[1] as string],
  [/\\([ !"#%&',:;<=>@_`~])/y, (found) => found[1] as string],
  [/\{(?!\d+(?:,\d*)?\})/y, '\\{'],
  [new RegExp(`(?![$^()[*+?|{])${PLAIN}`, 'y'), ([whole]) => whole],
];

/** What stands nowhere, as a place between characters. */
const PLACES: readonly Row[] = [
  [/\^/y, '^'],
  [/\$/y, '\\Z'],
  [/\\b/y, '\\b'],
  // Python's own \B is false in an empty string.
  [/\\B/y, '(?!\\b)'],
];

const GROUPS: readonly Row[] = [
  [/\((?!\?)/y, '('],
  [/\(\?:/y, '(?:'],
  [/\(\?[=!]/y, ([whole]) => whole],
  [/\(\?<([A-Za-z_]\w*)>/y, (found) => `(?P<${found[1]}>`],
];

/** How often: after characters and groups. Python counts no further than 2^32. */
const REPEATED = /(?:[*+?]|\{\d{1,9}(?:,\d{0,9})?\})\??/y;

/** What stands in brackets for several characters; it begins and ends no range. */
const SETS: readonly Row[] = [
  [/\\s/y, `\\s${WIDE_SPACES}`],
  [/\\[dDwW]/y, ([whole]) => whole],
];
/** What stands in brackets for one character. */
const MEMBERS: readonly Row[] = [
  [/\\[bfnrtv]/y, ([whole]) => whole],
  [/\\0(?!\d)/y, '\\x00'],
  [CODE, ([whole]) => whole],
  [/\\[\^$\\.*+?()[\]{}|/-]/y, ([whole]) => whole],
  [/\\([ !"#%',:;<=>@_`])/y, (found) => found[1] as string],
  [/\\?([&~])/y, (found) => `\\${found[1]}`],
  [/[[|]/y, ([whole]) => `\\${whole}`],
  [new RegExp(String.raw`(?!\])${PLAIN}`, 'y'), ([whole]) => whole],
];

/**
 * The pattern for `re.search` with `re.ASCII`; undefined when it has something that Python is not known to read as JavaScript
 * does.
 */
export function pythonPattern(pattern: string): string | undefined {
  return new PatternReader(pattern).whole();
}

/** Reads a pattern from its beginning to its end. */
class PatternReader {
  readonly #pattern: string;
  #at = 0;
  /** The groups that are open, from the outermost. */
  readonly #open: Group[] = [];
  /** By number and by name: whether Python may refer to a group. */
  readonly #captured = new Map<string, boolean>();
  #groups = 0;
  #isKnown = true;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  whole(): string | undefined {
    let result = '';
    while (this.#at < this.#pattern.length) {
      const part = this.#place() ?? this.#opened() ?? this.#closed() ?? this.#reference() ?? this.#characters();
      if (part === undefined) return undefined;
      result += part;
    }
    return this.#isKnown ? result : undefined;
  }

  /** Of a construct that was read, and that Python reads otherwise. */
  #unknown(): string {
    this.#isKnown = false;
    return '';
  }

  #place(): string | undefined {
    return this.#first(PLACES) ?? this.#text(/\|/y);
  }

  #opened(): string | undefined {
    const opened = this.#first(GROUPS);
    if (opened === undefined) return undefined;
    const name = /<(\w+)>/.exec(opened)?.[1];
    if (name !== undefined && this.#captured.has(name)) return this.#unknown();
    const names = opened === '(' || name !== undefined ? [String(++this.#groups), ...(name === undefined ? [] : [name])] : [];
    for (const each of names) this.#captured.set(each, false);
    this.#open.push({ names, isLook: /^\(\?[=!]/.test(opened) });
    return opened;
  }

  #closed(): string | undefined {
    if (this.#text(/\)/y) === undefined) return undefined;
    const group = this.#open.pop();
    const repeated = this.#text(REPEATED);
    if (group === undefined || (group.isLook && repeated !== undefined)) return this.#unknown();
    // A group that may have matched nothing, or that matched in an earlier round, is nothing to JavaScript and a failure to Python.
    const isSure = this.#open.length === 0 && repeated === undefined && !this.#hasAlternatives();
    for (const name of group.names) this.#captured.set(name, isSure);
    return `)${repeated ?? ''}`;
  }

  /** Whether the pattern may have alternatives outside of all groups. */
  #hasAlternatives(): boolean {
    return this.#pattern.replaceAll(/\\.|\([^()|]*\)/g, '').includes('|');
  }

  #reference(): string | undefined {
    const found = this.#take(/\\(?:k<(\w+)>|([1-9]\d*))/y);
    const name = found?.[1] ?? found?.[2];
    if (found === undefined || name === undefined) return undefined;
    if (this.#captured.get(name) !== true) return this.#unknown();
    return `${found[1] === undefined ? `(?:\\${name})` : `(?P=${name})`}${this.#text(REPEATED) ?? ''}`;
  }

  #characters(): string | undefined {
    const characters = this.#first(CHARACTERS) ?? this.#brackets();
    return characters === undefined ? undefined : `${characters}${this.#text(REPEATED) ?? ''}`;
  }

  #brackets(): string | undefined {
    let result = this.#text(/\[\^?/y);
    if (result === undefined) return undefined;
    while (this.#text(/\]/y) === undefined) {
      const set = this.#first(SETS);
      const from = set ?? this.#first(MEMBERS);
      if (from === undefined) return undefined;
      const isRange = this.#text(/-(?!\])/y) !== undefined;
      const to = isRange ? this.#first(MEMBERS) : undefined;
      if (isRange && (to === undefined || set !== undefined)) return undefined;
      const isLast = this.#pattern[this.#at] === ']';
      result += isRange ? `${dash(from)}-${dash(to as string)}` : from === '-' && !isLast ? dash(from) : from;
    }
    return `${result}]`;
  }

  #take(form: RegExp): RegExpExecArray | undefined {
    form.lastIndex = this.#at;
    const found = form.exec(this.#pattern);
    if (found !== null) this.#at = form.lastIndex;
    return found ?? undefined;
  }

  #text(form: RegExp): string | undefined {
    return this.#take(form)?.[0];
  }

  /** What Python calls the first construct of the table that is there. */
  #first(rows: readonly Row[]): string | undefined {
    for (const [form, python] of rows) {
      const found = this.#take(form);
      if (found !== undefined) return typeof python === 'string' ? python : python(found);
    }
    return undefined;
  }
}

interface Group {
  /** Its number, and its name when it has one. */
  readonly names: readonly string[];
  /** Whether it looks ahead. */
  readonly isLook: boolean;
}

function dash(member: string): string {
  return member === '-' ? '\\-' : member;
}
