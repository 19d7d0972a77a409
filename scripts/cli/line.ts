/** Lines as they are written: styled where colours are wanted, and with whatever text of others printable. */
import { styleText } from 'node:util';

export type Style = Parameters<typeof styleText>[0];

export interface Styled {
  readonly style: Style;
  readonly text: string;
}

/** A line, or its parts. */
export type Line = string | Styled | readonly (string | Styled)[];

/** Controls (C0, DEL, C1), those of bidirectional text, and the separators of lines and paragraphs. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * The same text with each control as `\u202e`: text of others must not move the cursor, change colours, turn the direction
 * of writing or begin a line. JSON stays equal, as it has controls within strings only. What is printable already stays as
 * it is, so whoever aligns text makes it so before measuring it.
 */
export function printable(text: string): string {
  return text.replace(CONTROLS, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The line as `stream` is to have it, without its end; styleText itself heeds NO_COLOR and terminals. */
export function rendered(line: Line, stream: NodeJS.WriteStream = process.stdout): string {
  const parts = typeof line === 'string' || 'style' in line ? [line] : line;
  return parts
    .map((part) => (typeof part === 'string' ? printable(part) : styleText(part.style, printable(part.text), { stream })))
    .join('');
}
