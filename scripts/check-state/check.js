/**
 * Compares the state that a gateway serves with what its events make by rules that are written anew here. It reads both over plain HTTP, and
 * imports nothing of the gateway.
 */
import { isDeepStrictEqual } from 'node:util';
import { foldAll } from './rules.js';

const PAGE = 1000;
/** How long an answer that says that it cannot be given now is asked for again, and how often, in ms. */
const PATIENCE_MS = 30_000;
const PAUSE_MS = 200;

/** The number in a position. */
const seqOf = (id) => Number(id.split('-')[1]);

async function read(url, token, path) {
  for (const begunAt = performance.now(); ; ) {
    const response = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } });
    const body = await response.json();
    if (response.ok) return body;
    if (response.status !== 503 || performance.now() - begunAt > PATIENCE_MS)
      throw new Error(`GET ${path} was answered ${response.status}: ${body.detail}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** The whole state, at one position: a later item takes the place of an earlier one. */
export async function readState(url, token) {
  const things = new Map();
  for (let after = ''; ; ) {
    const page = await read(url, token, `/state/**?limit=${PAGE}${after}`);
    if (page.reset !== null) things.clear();
    for (const { id, channel, entity, key, open, state } of page.items) {
      const name = JSON.stringify([channel, entity, key]);
      if (state === null) things.delete(name);
      else things.set(name, { id, open, state });
    }
    if (!page.has_more) return { things, position: page.position };
    after = `&after=${page.next}`;
  }
}

/** All events up to a position. @throws where the log has no longer all of them. */
async function readEvents(url, token, position) {
  const events = [];
  const end = seqOf(position);
  for (let after = ''; ; ) {
    const page = await read(url, token, `/events/**?limit=${PAGE}${after}`);
    if (page.gap !== null) throw new Error(`events are missing (${page.gap.reason})`);
    for (const event of page.events) if (seqOf(event.id) <= end) events.push(event);
    if (!page.has_more || seqOf(page.next) >= end) break;
    after = `&after=${page.next}`;
  }
  if (events.length > 0 && seqOf(events[0].id) !== 1)
    throw new Error(`the log begins with ${events[0].id}: only where it has all its events can the state be compared`);
  return events;
}

/** What is different between two maps of things. @returns {string[]} a sentence for each. */
export function differences(expected, given) {
  const found = [];
  const tell = (name, what) => found.push(`${JSON.parse(name).join(' ')}: ${what}`);
  for (const [name, { id, open, state }] of expected) {
    const thing = given.get(name);
    if (thing === undefined) tell(name, `is missing; it changed last with ${id}`);
    else if (!isDeepStrictEqual(thing.state, state)) tell(name, `is ${JSON.stringify(thing.state)}, not ${JSON.stringify(state)}`);
    else if (thing.open !== open) tell(name, `is ${thing.open ? 'open' : 'closed'}, and should not be`);
    else if (thing.id !== id) tell(name, `changed last with ${thing.id}, not ${id}`);
  }
  for (const name of given.keys()) if (!expected.has(name)) tell(name, 'is there, and should not be');
  return found;
}

/** Compares the state of a gateway with its events. What changes meanwhile does no harm: both are those at one position. */
export async function checkState(url, token) {
  const { things, position } = await readState(url, token);
  const events = await readEvents(url, token, position);
  const expected = foldAll(events);
  return { position, events: events.length, compared: expected.size, things, differences: differences(expected, things) };
}
