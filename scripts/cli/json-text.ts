/** JSON for people and for version control: laid out as the formatter would, so that it may be committed as it is. */

/** Characters in a line, at most: those of the formatter. */
const LINE_WIDTH = 140;
const INDENT = '  ';

/** Objects on lines of their own, lists of plain values on one line where they fit. */
export function jsonText(value: unknown): string {
  return `${layOut(value, '', 0)}\n`;
}

/** @param used characters that the line has before and after the value */
function layOut(value: unknown, margin: string, used: number): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = margin + INDENT;
  if (!Array.isArray(value)) {
    const fields = Object.entries(value).map(([key, field]) => {
      const name = `${inner}${JSON.stringify(key)}: `;
      return `${name}${layOut(field, inner, name.length + 1)}`;
    });
    return fields.length === 0 ? '{}' : `{\n${fields.join(',\n')}\n${margin}}`;
  }
  const line = `[${value.map((item) => JSON.stringify(item)).join(', ')}]`;
  const isPlain = value.every((item) => typeof item !== 'object' || item === null);
  if (isPlain && used + line.length <= LINE_WIDTH) return line;
  return `[\n${value.map((item) => inner + layOut(item, inner, inner.length + 1)).join(',\n')}\n${margin}]`;
}
