/**
 * The way of an event from a caller into the log: authorise, prepare, charge to its channel, store. What is published together is
 * stored together or not at all; what is published at once, each by itself, is checked one by one and stored in one commit.
 */
import { requireRights, requireSomeRight } from './auth/publish-rights.ts';
import { refusalsOf } from './causes.ts';
import type { Admitted } from './connections/charges.ts';
import type { Connection } from './connections/connection.ts';
import { DRAINING } from './connections/wire.ts';
import { meaningOf } from './contract/codes.ts';
import type { CheckedDraft } from './contract/draft.ts';
import type { Receipt } from './contract/types.ts';
import type { Pipeline } from './delivery/pipeline.ts';
import { CourierError, tellable, validated } from './errors.ts';
import { fail, type Publication, type PublishCall, prepare, store } from './publication.ts';

/** One that publishes several events, each by itself. */
export interface EachCall extends PublishCall {
  readonly connection: PublishCall['connection'] & Pick<Connection, 'chargeEach' | 'chargeChannelsEach'>;
}

/**
 * Refuses early what the principal may not publish, before anything of the input is validated. `publish` asks again for the
 * validated events. Without drafts it refuses principals that may publish nothing.
 *
 * @throws {CourierError} FORBIDDEN
 */
export function authorise(pipeline: Pipeline, call: PublishCall, drafts: readonly unknown[]): void {
  try {
    requireSomeRight(pipeline.contract, call.connection.principal);
    requireRights(pipeline.contract, call.connection.principal, drafts);
  } catch (error) {
    pipeline.meter.publishFailed(0);
    pipeline.tracing.publish(call, [])?.failed(error);
    throw error;
  }
}

/**
 * Publishes validated events, all or none, in their order.
 *
 * @throws {CourierError} FORBIDDEN, BAD_REQUEST, PAYLOAD_TOO_LARGE; TOO_MANY_REQUESTS or SERVICE_UNAVAILABLE (may be repeated with
 * the same keys); what the connection was ended with.
 */
export async function publish(pipeline: Pipeline, call: PublishCall, drafts: readonly CheckedDraft[]): Promise<Receipt[]> {
  const publication = prepare(pipeline, call, drafts);
  if (publication.ahead.length > 0) await requireCauses(pipeline, publication);
  // What is wrong or not granted takes nothing of a channel that others share.
  return store(pipeline, call, [publication], call.connection.chargeChannels?.(drafts));
}

/**
 * Publishes events, each as if it came alone, and appends what is accepted at once. Where one is refused and may be repeated, the later
 * ones of its channel are refused with it: so repeating them keeps their order.
 *
 * @param inputs what may be drafts; neither charged nor checked.
 * @returns what came of each, in their order.
 * @throws {CourierError} SERVICE_UNAVAILABLE when the gateway drains; what the connection was ended with.
 */
export async function publishEach(pipeline: Pipeline, call: EachCall, inputs: readonly unknown[]): Promise<Outcome<Receipt>[]> {
  if (pipeline.draining.aborted) throw DRAINING.error;
  const admitted = await call.connection.chargeEach(inputs.length);
  const prepared = prepareEach(pipeline, call, inputs, admitted);
  const caused = inPlace(prepared, await requireCausesEach(pipeline, accepted(prepared)));
  const charged = inPlace(caused, await chargeEach(pipeline, call, accepted(caused)));
  return inPlace(charged, await storeEach(pipeline, call, accepted(charged)));
}

/** What came of one of several: it goes on, or was refused. */
type Outcome<T> = T | CourierError;

function accepted<T extends object>(outcomes: readonly Outcome<T>[]): T[] {
  return outcomes.filter((outcome) => !(outcome instanceof CourierError)) as T[];
}

/** The outcomes with those that were accepted replaced, in their order, by what came of them next. */
function inPlace<T extends object>(outcomes: readonly Outcome<object>[], next: readonly Outcome<T>[]): Outcome<T>[] {
  let index = 0;
  return outcomes.map((outcome) => (outcome instanceof CourierError ? outcome : (next[index++] as Outcome<T>)));
}

function prepareEach(pipeline: Pipeline, call: EachCall, inputs: readonly unknown[], admitted: Admitted): Outcome<Publication>[] {
  /** By channel: the error of one that may be repeated. */
  const held = new Map<unknown, CourierError>();
  return inputs.map((input, index) => {
    const channel = (input as { readonly channel?: unknown } | null)?.channel;
    const refusal = index < admitted.count ? held.get(channel) : admitted.refusal;
    if (refusal !== undefined) return refusal;
    try {
      authorise(pipeline, call, [input]);
      return prepare(pipeline, call, [validated(pipeline.contract.draft, input)]);
    } catch (thrown) {
      const error = tellable(thrown);
      if (meaningOf(error.code).retry) held.set(channel, error);
      return error;
    }
  });
}

/** @throws {CourierError} BAD_REQUEST; what the log throws. */
async function requireCauses(pipeline: Pipeline, publication: Publication): Promise<void> {
  const [outcome] = await requireCausesEach(pipeline, [publication]);
  if (outcome instanceof CourierError) throw outcome;
}

/** Refuses those with a cause that nobody has stored. Where the log cannot say it, each has its error, as where it cannot append. */
async function requireCausesEach(pipeline: Pipeline, publications: readonly Publication[]): Promise<Outcome<Publication>[]> {
  const causes = publications.map(({ ahead }) => ahead);
  if (causes.every(({ length }) => length === 0)) return [...publications];
  const refusals = await refusalsOf(pipeline, causes).catch((error: unknown) => causes.map(() => tellable(error)));
  return refused(pipeline, publications, refusals);
}

async function chargeEach(pipeline: Pipeline, call: EachCall, publications: readonly Publication[]): Promise<Outcome<Publication>[]> {
  const refusals = await call.connection.chargeChannelsEach(publications.flatMap(({ drafts }) => drafts)).catch((error: unknown) => {
    for (const publication of publications) fail(pipeline, publication, error);
    throw error;
  });
  return refused(pipeline, publications, refusals);
}

/** The publications, and in the place of each that is refused its refusal. */
function refused(
  pipeline: Pipeline,
  publications: readonly Publication[],
  refusals: readonly (CourierError | undefined)[] = [],
): Outcome<Publication>[] {
  return publications.map((publication, index) => {
    const refusal = refusals[index];
    if (refusal !== undefined) fail(pipeline, publication, refusal);
    return refusal ?? publication;
  });
}

async function storeEach(pipeline: Pipeline, call: EachCall, publications: readonly Publication[]): Promise<Outcome<Receipt>[]> {
  if (publications.length === 0) return [];
  try {
    return await store(pipeline, call, publications);
  } catch (error) {
    // Of a client whose connection has ended the whole call fails.
    call.connection.assertOpen();
    return publications.map(() => tellable(error));
  }
}
