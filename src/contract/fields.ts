/** Schemas of fields that the events of any contract may share, so that one name means the same in all of them. */
import { z } from 'zod';
import { familyForm, SEGMENT } from './channels.ts';

/** An id as it stands in a channel's name: 1 to 64 of `A-Z a-z 0-9 _ -`. */
export const id = z
  .string()
  .regex(SEGMENT, { error: 'must be 1 to 64 characters of A-Z, a-z, 0-9, _ and -' })
  .describe('Id, usable as the last segment of a channel name.');

function channelOf(family: string): z.ZodType<string, string> {
  return family === 'global' ? z.literal('global') : z.templateLiteral([`${family}.`, id]);
}

/** The name of a channel in one of `families`. */
export function channelIn(families: readonly string[]): z.ZodType<string, string> {
  const forms = families.map(familyForm).join(', ');
  return z.union(families.map(channelOf), { error: `must be one of ${forms}; ids are 1 to 64 of A-Z a-z 0-9 _ -` });
}

/** A list of some of `types`. */
export function typeListOf(types: Iterable<string>): z.ZodType<string[]> {
  const all = [...types];
  return z.array(z.enum(all)).min(1).max(all.length).describe('Only events of these types.');
}

export const text = z.string().min(1).max(1000);
export const progress = z.number().min(0).max(1).describe('Fraction done, 0 to 1.');
export const count = z.int().min(0);
export const durationMs = z.number().min(0).describe('How long it took, in milliseconds.');
export const date = z.iso.date().describe('ISO 8601 calendar date.');
export const parameters = z.record(z.string().min(1).max(100), z.unknown()).describe('Free-form JSON object.');
/** Prices and quantities are decimal strings, so that no receiver rounds them. */
export const decimal = z
  .string()
  .regex(/^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$/, { error: 'must be a decimal number as a string, such as "12.50"' })
  .describe('Decimal number as a string.');
export const positiveDecimal = z
  .string()
  .regex(/^(?=.*[1-9])(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$/, { error: 'must be a positive decimal number as a string, such as "12.50"' })
  .describe('Positive decimal number as a string.');

/** The fields of every event that reports a failure. */
export const failure = {
  code: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,64}$/, { error: 'must be 1 to 64 characters of A-Z, a-z, 0-9, _, . and -' })
    .describe('Machine-readable reason.'),
  message: text.describe('What went wrong, for a person.'),
  retryable: z.boolean().optional().describe('Whether the same work may succeed when tried again.'),
};
