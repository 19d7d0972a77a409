/** Reads the present state: pages of it, all at one position. */
import type { Principal } from './auth/principal.ts';
import type { Connection } from './connections/connection.ts';
import type { StateReset } from './contract/envelope.ts';
import type { Filter } from './contract/filter.ts';
import { parsePosition, parseStatePosition, type StatePosition } from './contract/position.ts';
import type { StatePage } from './contract/types.ts';
import type { Delivery } from './delivery/batch.ts';
import { cut, invalidField } from './errors.ts';
import { PAGE_BYTES } from './log/log.ts';
import type { Served } from './state/served.ts';
import type { Serving } from './state/serving.ts';
import type { ItemDelivery } from './state/state-delivery.ts';
import { unavailable } from './state/unavailable.ts';
import { type StateSelection, selectionFrom } from './state-selection.ts';
import { resetReason } from './watch-state.ts';

export const DEFAULT_STATE_LIMIT = 100;
export const MAX_STATE_LIMIT = 1000;
/** How long a call waits for the state to be there, in ms. */
const WAIT_MS = 10_000;
/** Pages of the storage that are looked at for one page, at most, where conditions leave most of them out. */
const MAX_READS = 20;
/** Notes of what was forgotten in one answer, about. */
const MAX_REMOVALS = 1000;

export interface StateRequest extends StateSelection {
  readonly limit?: number | undefined;
  /** `next` of the page before, or a position: then what has changed since. */
  readonly after?: string | undefined;
}

/**
 * Reads a page. All pages together, where a later item takes the place of an earlier one, are the state at the position of the last page.
 *
 * @throws {CourierError} BAD_REQUEST, FORBIDDEN; SERVICE_UNAVAILABLE while the state is being made.
 */
export async function readState(
  pipeline: Served,
  { principal }: Pick<Connection, 'principal'>,
  request: StateRequest,
  signal: AbortSignal,
): Promise<StatePage<Delivery>> {
  const endUse = pipeline.states.use();
  try {
    return await pageFor(pipeline, principal, request, signal);
  } finally {
    endUse();
  }
}

async function pageFor(pipeline: Served, principal: Principal, request: StateRequest, signal: AbortSignal): Promise<StatePage<Delivery>> {
  const filter = selectionFrom(pipeline.contract, principal, request);
  const after = request.after === undefined ? undefined : pageStart(request.after);
  const limit = request.limit ?? DEFAULT_STATE_LIMIT;
  const serving = await pipeline.states.serving(filter.types as ReadonlySet<string>, signal, WAIT_MS);
  const { positions } = pipeline.log;
  const cannotGoOn = after && pageResetReason(serving, pipeline, after, filter);
  const isResumed = after !== undefined && cannotGoOn === undefined && after.freshSeq === undefined;
  const removed = isResumed ? await removedSince(serving, filter, after.position.seq) : [];
  const reason = removed === undefined ? 'expired' : cannotGoOn;
  const reset: StateReset | null = after !== undefined && reason !== undefined ? { reason, requested: request.after as string } : null;
  const start = after === undefined || reset !== null ? undefined : after;
  const cursor = start?.position.seq ?? 0;
  // Who has nothing is not told what is not selected, as far as it was stored then.
  const freshSeq = start === undefined ? serving.storedSeq : start.freshSeq;
  const isBegun = freshSeq !== undefined && cursor > 0;
  const page = await pageOf(serving, filter, { cursor, freshSeq, limit, items: removed ?? [] }, signal);
  const { endSeq, has_more } = page;
  // What was given on an earlier page may have been forgotten since.
  const forgotten = has_more || !isBegun ? [] : await removedSince(serving, filter, freshSeq);
  // They are to be read anew.
  if (forgotten === undefined) throw unavailable('too much was forgotten while its pages were read');
  const items = [...(start === undefined ? presentItems(page.items) : page.items), ...forgotten];
  const next = has_more
    ? `${positions.at(endSeq)}${freshSeq === undefined ? '' : `-${freshSeq}.${buildOf(serving, filter)}`}`
    : serving.positionAt(endSeq);
  return { items, next, has_more, position: positions.at(has_more ? Math.max(endSeq, serving.seq) : endSeq), reset };
}

/** What is there of what was read, each thing once: who has nothing need not know what was. */
function presentItems(items: readonly Delivery[]): readonly Delivery[] {
  const present = new Map<string, Delivery>();
  for (const item of items as readonly ItemDelivery[]) {
    present.delete(item.thing);
    if (!item.isRemoval) present.set(item.thing, item);
  }
  return [...present.values()];
}

interface PageStart {
  readonly cursor: number;
  readonly freshSeq: number | undefined;
  readonly limit: number;
  readonly items: readonly Delivery[];
}

async function pageOf(serving: Serving, filter: Filter, { cursor, freshSeq, limit, items: before }: PageStart, signal: AbortSignal) {
  const source = serving.source(freshSeq);
  const items: Delivery[] = [...before];
  let bytes = 0;
  let endSeq = cursor;
  for (let reads = 0; ; reads += 1) {
    const isInMemory = source.covers(endSeq);
    const seq = source.seq;
    const page = isInMemory ? undefined : await source.read(filter, endSeq, signal);
    // A page that is shared may begin before.
    const found =
      page === undefined ? [...source.recent(filter, endSeq)] : page.batches.flatMap((batch) => batch.after(endSeq)?.deliveries ?? []);
    for (const [index, delivery] of found.entries()) {
      items.push(delivery);
      bytes += Buffer.byteLength(delivery.json);
      const isLast = found[index + 1]?.seq !== delivery.seq;
      if (isLast && (items.length >= limit || bytes >= PAGE_BYTES)) {
        const isAll = page === undefined && index === found.length - 1;
        return { items, endSeq: isAll ? seq : delivery.seq, has_more: !isAll };
      }
    }
    if (page === undefined) return { items, endSeq: seq, has_more: false };
    endSeq = page.endSeq;
    if (reads >= MAX_READS) return { items, endSeq, has_more: true };
  }
}

/** What was forgotten since then; undefined where that is too much for an answer. */
async function removedSince(serving: Serving, filter: Filter, seq: number): Promise<readonly Delivery[] | undefined> {
  const items: Delivery[] = [];
  for (let after: number | undefined = 0; after !== undefined; ) {
    if (items.length > MAX_REMOVALS) return undefined;
    const { removals, next } = await serving.removalsSince(filter, seq, after);
    items.push(...removals);
    after = next;
  }
  return items;
}

/** Pages that began with nothing go on as long as they are of the same build, however far back their things have changed. */
function pageResetReason(serving: Serving, pipeline: Served, token: PageToken, filter: Filter) {
  const { position, freshSeq, build } = token;
  if (freshSeq === undefined) return resetReason(serving, pipeline, token, filter);
  const reason = resetReason(serving, pipeline, token, filter, Math.max(position.seq, freshSeq));
  if (reason !== 'rebuilt') return reason;
  return build === buildOf(serving, filter) ? undefined : reason;
}

/** A later one has a higher number. */
function buildOf(serving: Serving, { types }: Filter): number {
  return Math.max(...serving.buildsOf(types));
}

interface PageToken extends Pick<StatePosition, 'position' | 'builds'> {
  /** What was stored when somebody began who had nothing, and the build that the pages are of. */
  readonly freshSeq?: number;
  readonly build?: number;
}

const PAGE_FORM = /^(.*-\d+)-(0|[1-9]\d{0,15})\.(0|[1-9]\d{0,15})$/;

/** Reads where a page starts. */
function pageStart(text: string): PageToken {
  const whole = parseStatePosition(text);
  if (whole !== undefined && !whole.isUnfinished) return whole;
  const [, before = '', fresh, build] = PAGE_FORM.exec(text) ?? [];
  const position = parsePosition(before);
  if (position !== undefined) return { position, freshSeq: Number(fresh), build: Number(build) };
  throw invalidField('after', `${JSON.stringify(cut(text))} is neither \`next\` of a page nor a position of Courier`);
}
