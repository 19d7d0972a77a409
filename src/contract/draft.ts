/** A draft: what a publisher hands in to publish an event, as schemas. */
import { z } from 'zod';
import { familyIn, idIn } from './channels.ts';
import type { Draft } from './envelope.ts';
import { channelIn } from './fields.ts';
import { callBudget, type Fault, findFault, type NodeBudget } from './json.ts';
import { position } from './position.ts';
import { traceparent } from './traceparent.ts';

/** Characters in a correlation id, an idempotency key or a user id, at most. */
const MAX_TOKEN_LENGTH = 128;

/** A printable identifier that the caller chooses. */
export const callerToken = z
  .string()
  .regex(/^[\x21-\x7e]+$/, { error: 'must be 1 to 128 printable ASCII characters without spaces' })
  .max(MAX_TOKEN_LENGTH);

/** The years that ISO 8601 writes with four digits and every language reads. */
const [EARLIEST_MS, LATEST_MS] = [Date.parse('0001-01-01T00:00:00Z'), Date.parse('9999-12-31T23:59:59.999Z')];

/** An instant: a Date over tRPC, an ISO 8601 string with an offset in plain JSON. Always a Date once parsed. */
const instant = z
  .union([z.date(), z.iso.datetime({ offset: true }).transform((value) => new Date(value))], {
    error: 'must be a date and time such as 2026-01-31T12:00:00Z',
  })
  .refine((at) => at.getTime() >= EARLIEST_MS && at.getTime() <= LATEST_MS, { error: 'must be within the years 1 to 9999' })
  .describe('ISO 8601 date and time.');

/** What a publisher may say about an event. Courier adds `source`, and `timestamp` when the publisher gives none. */
export const draftMetadata = z.strictObject({
  timestamp: instant.optional().describe('When it happened; the time of publishing when absent.'),
  correlation_id: callerToken
    .optional()
    .describe('Ties together what belongs to one piece of work, across services; the id of the cause, else its own, when absent.'),
  causation_id: position.optional().describe('The id of the event that led to this one.'),
  user_id: callerToken.optional().describe('The user on whose behalf it happened.'),
  traceparent: traceparent.optional(),
});

/** Events in one call, at most. */
export const MAX_BATCH_EVENTS = 500;

/**
 * Guards the schema of a draft. The guard walks the data before zod, which drops some keys silently, and refuses a value that
 * is not JSON, is not exact, is nested too deeply or is too large, and a forbidden key; each with its path.
 */
export function withPlainData<Out, In>(draft: z.ZodType<Out, In>): z.ZodType<Out, In> {
  return guarded(draft, (value) => faultInData(value, callBudget(), []));
}

/** Guards the schema of a list of drafts in the same way. All drafts together may bring as many values as one call may. */
export function listWithPlainData<Out, In>(draft: z.ZodType<Out, In>): z.ZodType<Out[], In[]> {
  return guarded(z.array(draft).min(1).max(MAX_BATCH_EVENTS), (value) => {
    // The schema refuses a value that is no list, or too long a list, before it looks at an element.
    if (!Array.isArray(value) || value.length > MAX_BATCH_EVENTS) return undefined;
    const budget = callBudget();
    for (const [index, each] of value.entries()) {
      const fault = faultInData(each, budget, [index]);
      if (fault !== undefined) return fault;
    }
    return undefined;
  });
}

/** A list of what may be drafts: each is to be checked by itself. */
export const uncheckedDrafts = z.array(z.unknown()).min(1).max(MAX_BATCH_EVENTS);

/** What is wrong with the data of the draft at `path`. The schema reports data that is absent. */
function faultInData(draft: unknown, budget: NodeBudget, path: readonly number[]): Fault | undefined {
  const data: unknown = typeof draft === 'object' && draft !== null && 'data' in draft ? draft.data : undefined;
  const fault = data === undefined ? undefined : findFault(data, budget);
  return fault && { ...fault, path: [...path, 'data', ...fault.path] };
}

/** A schema that passes a value to `schema` only when `find` finds no fault in the value. */
function guarded<Out, In>(schema: z.ZodType<Out, In>, find: (value: unknown) => Fault | undefined): z.ZodType<Out, In> {
  const guard = z.unknown().check((ctx) => {
    const fault = find(ctx.value);
    if (fault === undefined) return;
    const { path, message, tooLarge } = fault;
    ctx.issues.push({ code: 'custom', input: ctx.value, path, message, params: { tooLarge }, continue: false });
  });
  // The guard takes any value, but callers shall see the input type of `schema`.
  return guard.pipe(schema as z.ZodType<Out, unknown>) as unknown as z.ZodType<Out, In>;
}

/** A draft that has been checked. */
export type CheckedDraft = Draft<string, string, Readonly<Record<string, unknown>>, Date>;

/** What a draft of a type must be. */
export interface DraftForm {
  readonly type: string;
  /** The families whose channels may carry the type. */
  readonly families: readonly string[];
  readonly data: z.ZodObject;
}

/** The fields of a draft. The data is not guarded. */
export function draftFields({ type, families, data }: DraftForm) {
  return {
    type: z.literal(type),
    channel: channelIn(families),
    data,
    metadata: draftMetadata.optional(),
    idempotency_key: callerToken.optional().describe('A publish that is repeated with the same key within 24 h is stored once.'),
  };
}

type FormSchema = ReturnType<typeof draftSchema>;

/** The schema of a draft in one of several forms: a union discriminated by `type`. The data is not guarded. */
export function draftUnion(
  forms: readonly DraftForm[],
  idFields: ReadonlyMap<string, string>,
): z.ZodType<CheckedDraft, Draft<string, string, unknown>> {
  const [first, ...rest] = forms.map((form) => draftSchema(form, idFields)) as [FormSchema, ...FormSchema[]];
  const types = forms.map(({ type }) => type).join(', ');
  return z.discriminatedUnion('type', [first, ...rest], {
    error: ({ code, input }) => {
      if (code !== 'invalid_union') return undefined;
      const isMissing = (input as { readonly type?: unknown }).type === undefined;
      return isMissing ? `is missing: one of ${types}` : `must be one of ${types}`;
    },
  });
}

/** @param idFields by family: the field that is its id. Where the data has the field, it must be the id in the channel's name. */
export function draftSchema(form: DraftForm, idFields: ReadonlyMap<string, string>) {
  const schema = z.strictObject(draftFields(form));
  if (!form.families.some((family) => (idFields.get(family) ?? '') in form.data.shape)) return schema;
  return schema.check(({ value: { channel, data }, issues }) => {
    const field = strayId(idFields, channel, data);
    if (field === undefined) return;
    const message = `must be ${JSON.stringify(idIn(channel))}, the id in the channel ${channel}`;
    issues.push({ code: 'custom', input: data[field], path: ['data', field], message });
  });
}

/** The field of the data that should have the id in the channel's name, and has another; undefined when there is none. */
export function strayId(
  idFields: ReadonlyMap<string, string>,
  channel: string,
  data: Readonly<Record<string, unknown>>,
): string | undefined {
  const field = idFields.get(familyIn(channel) ?? '');
  const id = field === undefined ? undefined : data[field];
  return id === undefined || id === idIn(channel) ? undefined : field;
}
