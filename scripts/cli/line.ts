/** Lines as they are written: styled where colours are wanted, and with whatever text of others printable. */
import { styleText } from 'node:util';
import { printable } from '../../src/errors.ts';

export type Style = Parameters<typeof styleText>[0];

export interface Styled {
  readonly style: Style;
  readonly text: string;
}

/** A line, or its parts. */
export type Line = string | Styled | readonly (string | Styled)[];

/** The line as `stream` is to have it, without its end; styleText itself heeds NO_COLOR and terminals. */
export function rendered(line: Line, stream: NodeJS.WriteStream = process.stdout): string {
  const parts = typeof line === 'string' || 'style' in line ? [line] : line;
  return parts
    .map((part) => (typeof part === 'string' ? printable(part) : styleText(part.style, printable(part.text), { stream })))
    .join('');
}
