/** Pages of events as answers: how many one answer may hold. */
import type { HistoryPage, StatePage, TracePage } from '../contract/types.ts';
import type { Delivery } from '../delivery/batch.ts';
import { eventOf } from '../delivery/event-stream.ts';
import { CourierError } from '../errors.ts';
import { PAGE_BYTES } from '../log/log.ts';

/**
 * An answer with this many UTF-16 units of bodies takes no further page. All calls of a batch over HTTP share one answer, which
 * the gateway writes in one turn of the event loop.
 */
const MAX_ANSWER_UNITS = 2 * PAGE_BYTES;

/** The size of an answer so far. */
export interface AnswerSize {
  /** UTF-16 units of the bodies. */
  units: number;
}

/** Those that were made here. */
const pages = new WeakSet<object>();

/** Makes the page for a caller. @throws {CourierError} PAYLOAD_TOO_LARGE when the answer is full. */
export function pageFor(answer: AnswerSize, page: HistoryPage<Delivery>): HistoryPage<unknown> {
  count(answer, page.events);
  const events = page.events.map((delivery) => eventOf(delivery));
  const made = { ...page, events };
  pages.add(made);
  return made;
}

/** The same of states. */
export function statePageFor(answer: AnswerSize, page: StatePage<Delivery>): StatePage<unknown> {
  count(answer, page.items);
  return { ...page, items: page.items.map((delivery) => eventOf(delivery)) };
}

/** The same of a piece of work. */
export function tracePageFor(answer: AnswerSize, page: TracePage<Delivery>): TracePage<unknown> {
  count(
    answer,
    page.steps.map(({ event }) => event),
  );
  return { ...page, steps: page.steps.map((step) => ({ ...step, event: eventOf(step.event) })) };
}

function count(answer: AnswerSize, deliveries: readonly Delivery[]): void {
  if (answer.units >= MAX_ANSWER_UNITS) {
    throw new CourierError('PAYLOAD_TOO_LARGE', 'the pages of one batch are too large together; ask for this one by itself');
  }
  answer.units += deliveries.reduce((sum, { units }) => sum + units, 0);
}

/** Is it a page that was made here? An event of it has nothing but its timestamp that is not plain JSON. */
export function isPage(value: unknown): value is HistoryPage<unknown> {
  return typeof value === 'object' && value !== null && pages.has(value);
}
