/** Turns the patterns of the contract, which are JavaScript's, into Python's with the same meaning. */

/** What JavaScript's white space has besides that of ASCII. */
const WIDE_SPACES = '\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff';

/** Patterns of these parts mean the same in JavaScript, Python and Rust, whose patterns pydantic uses. */
const LITERAL = String.raw`[A-Za-z0-9_ ,:;@#%=!'"<>/-]|\\[.^$|?*+()[\]{}/-]`;
const IN_CLASS = String.raw`[A-Za-z0-9_ .,:;@#%=!'"<>/+*()?$|{}-]|\\[.^$|?*+()[\]{}/\\-]|\\x[0-9a-f]{2}`;
const COMMON = new RegExp(String.raw`^(?:${LITERAL}|[\^$|?*+)]|\((?:\?:)?(?!\?)|\{\d+(?:,\d*)?\}|\[\^?(?:${IN_CLASS})+\])*$`);

/** Whether pydantic itself reads the pattern as JavaScript does. */
export function isCommonPattern(pattern: string): boolean {
  return COMMON.test(pattern) && !/--|\[[^\]]*\|\|/.test(pattern);
}

/**
 * The pattern for `re.search` with `re.ASCII`.
 *
 * @throws {TypeError} naming the `path` of a pattern that Python cannot express.
 */
export function pythonPattern(pattern: string, path: string): string {
  let result = '';
  let inClass = false;
  for (let at = 0; at < pattern.length; ) {
    const [taken, written] = part(pattern.slice(at), inClass, path);
    if (inClass ? taken === ']' : taken === '[' || taken === '[^') inClass = !inClass;
    result += written;
    at += taken.length;
  }
  return result;
}

/** The first part of the pattern, and what Python calls it. */
function part(rest: string, inClass: boolean, path: string): readonly [string, string] {
  if (rest.startsWith('\\')) return escapeIn(rest, inClass, path);
  const first = rest.charAt(0);
  if (inClass) return [first, '[&|~'.includes(first) ? `\\${first}` : first];
  const empty = /^\[\^?\]/.exec(rest)?.[0];
  if (empty !== undefined) return [empty, empty === '[]' ? '(?!)' : '[\\s\\S]'];
  if (rest.startsWith('[^')) return ['[^', '[^'];
  if (/^\(\?<[=!]/.test(rest)) throw new TypeError(`${path} has a pattern with a lookbehind, which Python may not have: ${rest}`);
  if (rest.startsWith('(?<')) return ['(?<', '(?P<'];
  if (first === '$') return ['$', '\\Z'];
  if (first === '.') return ['.', '[^\\n\\r\\u2028\\u2029]'];
  if (first === '{' && !/^\{\d+(,\d*)?\}/.test(rest)) return ['{', '\\{'];
  return [first, first];
}

function escapeIn(rest: string, inClass: boolean, path: string): readonly [string, string] {
  const [taken, code] = /^\\u\{([0-9a-fA-F]+)\}/.exec(rest) ?? [];
  if (taken !== undefined && code !== undefined) return [taken, `\\U${code.padStart(8, '0')}`];
  const reference = /^\\k<([^>]*)>/.exec(rest);
  if (reference !== null) return [reference[0], `(?P=${reference[1]})`];
  const two = rest.slice(0, 2);
  if (/^\\[pPc]/.test(two)) throw new TypeError(`${path} has a pattern that Python does not have: ${two}`);
  if (two === '\\s') return [two, inClass ? `\\s${WIDE_SPACES}` : `[\\s${WIDE_SPACES}]`];
  if (two === '\\S' && !inClass) return [two, `[^\\s${WIDE_SPACES}]`];
  if (two === '\\0') return [two, '\\x00'];
  const isKnown = /^\\[bBdDwWsSfnrtvxu0-9]/.test(two) || !/^\\[A-Za-z]/.test(two);
  return [two, isKnown ? two : two.slice(1)];
}
