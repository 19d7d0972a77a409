/** The schema of what publishers hand in. */
import { z } from 'zod';
import { channelIn } from './channel-schemas.ts';
import type { ChannelFamily } from './channels.ts';
import { callBudget, type Fault, findFault, type NodeBudget } from './json.ts';
import { traceparent } from './traceparent.ts';

/** Characters in a correlation id, an idempotency key or a user id, at most. */
const MAX_TOKEN_LENGTH = 128;

/** A printable identifier of the caller's own choosing. */
export const callerToken = z
  .string()
  .regex(/^[\x21-\x7e]+$/, { error: 'must be 1 to 128 printable ASCII characters without spaces' })
  .max(MAX_TOKEN_LENGTH);

/** What ISO 8601 writes with four digits, and every language reads. */
const [EARLIEST_MS, LATEST_MS] = [Date.parse('0001-01-01T00:00:00Z'), Date.parse('9999-12-31T23:59:59.999Z')];

/** An instant: a Date over tRPC, an ISO 8601 string with an offset in plain JSON. Always a Date once parsed. */
const instant = z
  .union([z.date(), z.iso.datetime({ offset: true }).transform((value) => new Date(value))])
  .refine((at) => at.getTime() >= EARLIEST_MS && at.getTime() <= LATEST_MS, { error: 'must be within the years 1 to 9999' })
  .describe('ISO 8601 date and time.');

/** What a publisher may say about an event. Courier adds `source`, and `timestamp` where it is absent. */
export const draftMetadata = z.strictObject({
  timestamp: instant.optional().describe('When it happened; the time of publishing when absent.'),
  correlation_id: callerToken.optional().describe('Ties together what belongs to one piece of work, across services.'),
  user_id: callerToken.optional().describe('The user on whose behalf it happened.'),
  traceparent: traceparent.optional(),
});

/** Events in one call, at most. */
export const MAX_BATCH_EVENTS = 500;

/**
 * Guards the schema of a draft: its data is walked as it was handed in, before zod (which drops some keys silently) sees
 * it. Refused: what is not JSON, too deep or too large, and forbidden keys; each with its path.
 */
export function withPlainData<Out, In>(draft: z.ZodType<Out, In>): z.ZodType<Out, In> {
  return guarded(draft, (value) => faultInData(value, callBudget(), []));
}

/** The schema of a list of drafts, guarded as one is; together they have no more values than a call may bring. */
export function listWithPlainData<Out, In>(draft: z.ZodType<Out, In>): z.ZodType<Out[], In[]> {
  return guarded(z.array(draft).min(1).max(MAX_BATCH_EVENTS), (value) => {
    // What is no list, or too long a one, the schema refuses before it looks at an element.
    if (!Array.isArray(value) || value.length > MAX_BATCH_EVENTS) return undefined;
    const budget = callBudget();
    for (const [index, each] of value.entries()) {
      const fault = faultInData(each, budget, [index]);
      if (fault !== undefined) return fault;
    }
    return undefined;
  });
}

/** What is wrong with the data of a draft that stands at `path`. Data that is absent is for the schema to miss. */
function faultInData(draft: unknown, budget: NodeBudget, path: readonly number[]): Fault | undefined {
  const data: unknown = typeof draft === 'object' && draft !== null && 'data' in draft ? draft.data : undefined;
  const fault = data === undefined ? undefined : findFault(data, budget);
  return fault && { ...fault, path: [...path, 'data', ...fault.path] };
}

/** `schema`, for which a value is looked at only when `find` finds no fault in it. */
function guarded<Out, In>(schema: z.ZodType<Out, In>, find: (value: unknown) => Fault | undefined): z.ZodType<Out, In> {
  const guard = z.unknown().check((ctx) => {
    const fault = find(ctx.value);
    if (fault === undefined) return;
    const { path, message, tooLarge } = fault;
    ctx.issues.push({ code: 'custom', input: ctx.value, path, message, params: { tooLarge }, continue: false });
  });
  // To the caller the guard is invisible: what goes in is still what `schema` takes.
  return guard.pipe(schema as z.ZodType<Out, unknown>) as unknown as z.ZodType<Out, In>;
}

/** The schema of what is handed in to publish an event of `type`, which channels of `families` may carry. Its data is not guarded. */
export function draftSchema<T extends string, F extends ChannelFamily, D extends z.ZodType>(type: T, families: readonly F[], data: D) {
  return z.strictObject({
    type: z.literal(type),
    channel: channelIn(families),
    data,
    metadata: draftMetadata.optional(),
    idempotency_key: callerToken.optional().describe('A publish that is repeated with the same key within 24 h is stored once.'),
  });
}
