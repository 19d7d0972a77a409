/** Positions: a number that was lost and given out again is never mistaken for what it was. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parsePosition } from '../../src/contract/position.ts';
import { type Epoch, Positions } from '../../src/log/positions.ts';

const parse = (text: string) => {
  const position = parsePosition(text);
  if (position === undefined) throw new Error(`${text} is no position`);
  return position;
};

test('a number has the position of the epoch that gave it out', () => {
  const positions = new Positions([
    { name: 'a', first: 1 },
    { name: 'b', first: 6 },
    { name: 'c', first: 6 },
    { name: 'd', first: 9 },
  ]);
  expect([0, 1, 5, 6, 8, 9, 20].map((seq) => positions.at(seq))).toEqual(['a-0', 'a-1', 'a-5', 'c-6', 'c-8', 'd-9', 'd-20']);
});

test('a log that was set back by hand, with the epochs that it had, has lost what came after', () => {
  const positions = new Positions([
    { name: 'a', first: 1 },
    { name: 'b', first: 101 },
    { name: 'c', first: 51 },
    { name: 'd', first: 200 },
  ]);
  for (const [id, resumption] of [
    ['a-50', { gap: undefined, afterSeq: 50 }],
    ['a-80', { gap: 'epoch', afterSeq: 50 }],
    ['b-150', { gap: 'epoch', afterSeq: 50 }],
    ['c-199', { gap: undefined, afterSeq: 199 }],
    ['d-201', { gap: 'ahead', afterSeq: 200 }],
  ] as const) {
    expect([id, positions.resume(parse(id), 200)]).toEqual([id, resumption]);
  }
  expect([50, 51, 150, 200].map((seq) => positions.at(seq))).toEqual(['a-50', 'c-51', 'c-150', 'd-200']);
});

test('whatever is lost and written again, a position means its own event or is refused', () => {
  // Each step restores the log to some earlier length, opens it again, and appends.
  const steps = fc.array(fc.record({ keep: fc.double({ min: 0, max: 1, noNaN: true }), append: fc.nat(5) }), {
    minLength: 1,
    maxLength: 12,
  });
  fc.assert(
    fc.property(steps, (history) => {
      let events: string[] = [];
      let epochs: Epoch[] = [];
      const givenOut = new Map<string, string>();
      const historyOf = new Map<string, string[]>();
      for (const [step, { keep, append }] of history.entries()) {
        events = events.slice(0, Math.ceil(events.length * keep));
        // What a restored copy knows of its epochs is what it knew when it was made.
        epochs = [...epochs.filter(({ first }) => first <= events.length), { name: `e${step}`, first: events.length + 1 }];
        const positions = new Positions(epochs as [Epoch, ...Epoch[]]);
        for (let n = 0; n < append; n += 1) {
          events.push(`event ${step}.${n}`);
          givenOut.set(positions.at(events.length), events.at(-1) ?? '');
          historyOf.set(positions.at(events.length), [...events]);
        }
        for (const [id, event] of givenOut) {
          const position = parse(id);
          const { gap, afterSeq } = positions.resume(position, events.length);
          expect(gap === undefined).toBe(events[position.seq - 1] === event);
          // What both states share ends there.
          if (afterSeq !== undefined) expect(historyOf.get(id)?.slice(0, afterSeq)).toEqual(events.slice(0, afterSeq));
          if (gap === 'epoch' && afterSeq !== undefined) expect(events[afterSeq]).not.toBe(historyOf.get(id)?.[afterSeq]);
        }
      }
    }),
  );
});
