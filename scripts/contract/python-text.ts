/** Writes pieces of Python: literals, names, docstrings and lists. The layout is Ruff's, with lines of 120 characters. */

/** Characters in a line, above which a list is written with one element a line. A comma after the last one keeps it so. */
const LIST_WIDTH = 88;
/** Characters in a line of a docstring, at most. */
const DOC_WIDTH = 100;

const KEYWORDS: ReadonlySet<string> = new Set(
  `False None True and as assert async await break class continue def del elif else except finally for from global if import in
   is lambda nonlocal not or pass raise return try while with yield`.split(/\s+/),
);

/** Built-in functions that a linter does not want to see redefined. */
export const BUILTINS: ReadonlySet<string> = new Set(
  `abs aiter all anext any ascii bin bool breakpoint bytearray bytes callable chr classmethod compile complex copyright credits
   delattr dict dir divmod enumerate eval exec exit filter float format frozenset getattr globals hasattr hash help hex id input
   int isinstance issubclass iter len license list locals map max memoryview min next object oct open ord pow print property
   quit range repr reversed round set setattr slice sorted staticmethod str sum super tuple type vars zip`.split(/\s+/),
);

/** A Python expression: text, or a list in brackets that may be broken into lines. */
export type Code = string | { readonly open: string; readonly items: readonly Code[]; readonly close: string };

export function list(open: string, items: readonly Code[], close: string): Code {
  return { open, items, close };
}

export function flat(code: Code): string {
  return typeof code === 'string' ? code : `${code.open}${code.items.map(flat).join(', ')}${code.close}`;
}

/** `before`, the code and `after`, in as many lines as they need. `before` begins with the indentation of its line. */
export function laidOut(before: string, code: Code, after = ''): string {
  const line = `${before}${flat(code)}${after}`;
  if (typeof code === 'string' || code.items.length === 0 || line.length <= LIST_WIDTH) return line;
  const indent = /^ */.exec(before)?.[0] ?? '';
  const items = code.items.map((item) => `${laidOut(`${indent}    `, item, ',')}\n`);
  return `${before}${code.open}\n${items.join('')}${indent}${code.close}${after}`;
}

/**
 * `A | B` after `before`; as `Union[A, B]` when that needs several lines, since those of `|` depend on the line length of
 * whoever formats the module.
 */
export function union(types: readonly string[], before: string): Code {
  const line = types.join(' | ');
  return types.length === 1 || before.length + line.length <= LIST_WIDTH ? line : list('Union[', types, ']');
}

/** What neither a linter nor a reader takes for something else: letters, digits and printable ASCII. Others are escaped. */
const UNCLEAR = /[^\x20-\x7e\p{L}\p{M}\p{N}]/gu;

function escaped(character: string): string {
  const code = character.codePointAt(0) as number;
  return code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** A string literal, in double quotes unless that takes more escapes. */
export function quoted(text: string): string {
  const json = JSON.stringify(text).slice(1, -1).replaceAll(UNCLEAR, escaped);
  if (text.split('"').length <= text.split("'").length) return `"${json}"`;
  return `'${json.replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}

/** Text for a comment on one line. */
export function ascii(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/gu, escaped);
}

/** A literal for any value of JSON. */
export function literal(value: unknown): Code {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'number') return String(value);
  if (Array.isArray(value)) return list('[', value.map(literal), ']');
  return list(
    '{',
    Object.entries(value).map(([key, field]) => `${quoted(key)}: ${flat(literal(field))}`),
    '}',
  );
}

/** A docstring of paragraphs. An escape stands for what would end it or would be read as an escape. */
export function docstring(indent: string, ...paragraphs: readonly (string | undefined)[]): string {
  const [summary = '', ...rest] = paragraphs
    .filter((text) => text !== undefined && text.trim() !== '')
    .map((text) => wrapped(text as string, indent));
  const text = [/[.?!]$/.test(summary) ? summary : `${summary}.`, ...rest].join(`\n\n${indent}`);
  const end = rest.length > 0 ? `\n${indent}` : '';
  return `${indent}"""${text}${end}"""`;
}

/** Text on lines that fit into a docstring, the first one without indentation. */
export function wrapped(text: string, indent: string, hanging = indent): string {
  const lines: string[] = [];
  let line = '';
  for (const word of docText(text).split(' ')) {
    if (line !== '' && indent.length + line.length + word.length >= DOC_WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join(`\n${hanging}`);
}

function docText(text: string): string {
  return text
    .trim()
    .split(/\s+/)
    .join(' ')
    .replaceAll('\\', '\\u005c')
    .replaceAll('"""', '\\u0022\\u0022\\u0022')
    .replaceAll(/^"|"$/g, '\\u0022')
    .replaceAll(UNCLEAR, escaped);
}

/** `backtest.progress` -> `BacktestProgress`. */
export function className(name: string): string {
  const joined = name.replace(/(?:^|[^A-Za-z0-9]+)(.)/g, (_all, first: string) => first.toUpperCase()).replace(/[^A-Za-z0-9]/g, '');
  return /^[A-Za-z]/.test(joined) ? joined : `N${joined}`;
}

/** `backtest.progress` -> `backtest_progress`. */
export function functionName(name: string): string {
  return identifier(name.replace(/([a-z0-9])(?=[A-Z])/g, '$1_').toLowerCase());
}

/** A name that Python takes, as near to `name` as can be, and none of `taken`. */
export function identifier(name: string, taken: { has(name: string): boolean } = KEYWORDS): string {
  const legal = name.replace(/[^A-Za-z0-9_]/g, '_');
  let free = /^[A-Za-z]/.test(legal) ? legal : `field_${legal.replace(/^_+/, '')}`;
  while (KEYWORDS.has(free) || taken.has(free)) free += '_';
  return free;
}

/** The order in which Ruff sorts names: constants, classes, others. */
export function sorted(names: readonly string[]): string[] {
  const kind = (name: string) => (/^[A-Z0-9_]+$/.test(name) && name.length > 1 ? 0 : /^[A-Z]/.test(name) ? 1 : 2);
  return [...new Set(names)].sort((a, b) => kind(a) - kind(b) || natural(a, b));
}

/** Compares names with the numbers in them as numbers. */
function natural(a: string, b: string): number {
  const parts = (name: string) => name.match(/\d+|\D+/g) ?? [];
  const [ours, theirs] = [parts(a), parts(b)];
  const at = ours.findIndex((part, index) => part !== theirs[index]);
  const [one, other] = [ours[at], theirs[at]];
  if (one === undefined || other === undefined) return ours.length - theirs.length;
  const difference = Number(one) - Number(other);
  return Number.isNaN(difference) ? (one < other ? -1 : 1) : difference;
}
