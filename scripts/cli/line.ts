/** Lines as they are written: styled where colours are wanted, and with whatever text of others printable. */
import { styleText } from 'node:util';
import { printable } from '../../src/errors.ts';

export type Style = Parameters<typeof styleText>[0];

export interface Styled {
  readonly style: Style;
  readonly text: string;
}

export type Part = string | Styled;

/** A line, or its parts. */
export type Line = Part | readonly Part[];

/** The line as `stream` is to have it, without its end; styleText itself heeds NO_COLOR and terminals. */
export function rendered(line: Line, stream: NodeJS.WriteStream = process.stdout): string {
  const parts = typeof line === 'string' || 'style' in line ? [line] : line;
  return parts
    .map((part) => (typeof part === 'string' ? printable(part) : styleText(part.style, printable(part.text), { stream })))
    .join('');
}

/** The text in so many characters, at most. */
export function fitted(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1)).toWellFormed()}…`;
}

/** The parts in so many characters, at most, together. */
export function fittedParts(parts: readonly Part[], columns: number): readonly Part[] {
  const shown = fitted(parts.map(textOf).join(''), columns);
  let at = 0;
  return parts.flatMap((part) => {
    const from = at;
    at += textOf(part).length;
    const text = shown.slice(from, at);
    if (text === '') return [];
    return [typeof part === 'string' ? text : { style: part.style, text }];
  });
}

/** A part's text, as it is written. */
export function textOf(part: Part): string {
  return printable(typeof part === 'string' ? part : part.text);
}
