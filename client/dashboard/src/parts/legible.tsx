/**
 * Shows foreign text without interpreting it: React escapes markup, and this file writes invisible characters (controls,
 * zero-width characters, those that change the direction of writing) as escapes.
 */
import type { ReactElement } from 'react';

/** Characters in one text, at most, unless the caller asks for more. */
const MAX_CHARACTERS = 2000;
/** Invisible characters but for line breaks and tabs: controls, formats (zero-width, bidirectional), separators, surrogates. */
const INVISIBLE = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]|\p{Default_Ignorable_Code_Point}/gu;

/** The text with invisible characters as `\u202e`, or `\u{e0041}`. */
export function legible(text: string): string {
  return text.replace(INVISIBLE, escapeOf);
}

function escapeOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

export function Legible({ children, max = MAX_CHARACTERS }: { readonly children: string; readonly max?: number }): ReactElement {
  const shown = children.length > max ? `${children.slice(0, max)}…` : children;
  return <span className="text">{legible(shown)}</span>;
}
