/** What callers chose, as it may stand in the log: without tokens, passwords and controls, and not long. */
import { cut, printable } from '../errors.ts';
import type { LogContext } from './logger.ts';

/** UTF-16 units of one text, at most. */
const MAX_UNITS = 300;
/** A JSON Web Token, or its beginning: it may be anywhere, as callers make mistakes with addresses. */
const TOKENS = /\bey[\w-]{18,}(\.[\w-]*){0,2}/g;
/** A name and a password before a host. */
const CREDENTIALS = /(?<=\/\/)[^/@\s]*@/g;

export function legible(text: string, most = MAX_UNITS): string {
  return printable(cut(text.replace(TOKENS, '[token]').replace(CREDENTIALS, ''), most));
}

/** The same context with all of its texts legible. */
export function legibly(context: LogContext): LogContext {
  return Object.fromEntries(Object.entries(context).map(([name, value]) => [name, typeof value === 'string' ? legible(value) : value]));
}
