/** Clients are asked to go one by one, and one that cannot does not delay the others. */
import { expect, test } from 'vitest';
import { drain } from '../../src/connections/drain.ts';

const never = new AbortController().signal;

test('clients are asked in turn, never all at once', async () => {
  const asked: number[] = [];
  const drained = drain(
    [0, 1, 2, 3].map((n) => async () => {
      asked.push(n);
    }),
    1000,
    never,
  );
  expect(asked).toEqual([0]);
  await drained;
  expect(asked).toEqual([0, 1, 2, 3]);
});

test('a client that fails to go is left behind', async () => {
  const asked: string[] = [];
  await drain(
    [
      async () => {
        throw new Error('gone');
      },
      async () => {
        asked.push('second');
      },
    ],
    1000,
    never,
  );
  expect(asked).toEqual(['second']);
});

test('nobody to ask takes no time', async () => {
  await drain([], 1000, never);
});
