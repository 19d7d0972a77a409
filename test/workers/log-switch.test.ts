/** One log for several, driven by hand: what a reply of the thread means for each of those who share it. */
import { existsSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { LogPortListener, Reply, Request } from '../../src/log/sqlite/messages.ts';
import { LogSwitch } from '../../src/workers/log-switch.ts';
import { temporaryFolder } from '../helpers/folder.ts';

function driven() {
  const asked: Request[] = [];
  const failed: Reply[] = [];
  let listener: LogPortListener | undefined;
  const port = {
    post: (request: Request) => asked.push(request),
    listen: (given: LogPortListener) => {
      listener = given;
    },
    close: () => Promise.resolve(),
  };
  const log = new LogSwitch(port, (reply) => failed.push(reply));
  log.own.listen({ onReply: () => undefined, onEnd: () => undefined });
  const join = () => {
    const heard: unknown[] = [];
    const way = log.join({
      onReply: (reply) => heard.push(reply),
      onAppended: (placed, frame) => heard.push({ placed, frame: frame[0] }),
      onEnd: (error) => heard.push({ ended: error?.message }),
    });
    return { way, heard };
  };
  return { join, asked, failed, reply: (reply: Reply) => listener?.onReply(reply), end: (error: Error) => listener?.onEnd(error) };
}

/** The first byte of the frame names it. */
const append = (name: number, appends: number, count: number): Request => ({
  kind: 'append',
  appends,
  count,
  bytes: 1,
  frame: new Uint8Array([name]),
});
const event = (seq: number) => ({ seq, channel: 'global', family: 'global', type: 'a', version: 1, body: '{}' });

test('of a commit that spans requests each has its numbers and its duplicates, and others hear of what is new only', () => {
  const { join, reply } = driven();
  const [one, other] = [join(), join()];
  one.way.post(append(1, 1, 2));
  other.way.post(append(2, 2, 3));
  one.way.post(append(3, 1, 1));
  reply({
    kind: 'committed',
    appends: 4,
    first: 10,
    duplicates: [
      { index: 1, event: event(7) },
      { index: 3, event: event(8) },
      { index: 5, event: event(9) },
    ],
  });
  expect(one.heard).toEqual([
    { kind: 'committed', appends: 1, first: 10, duplicates: [{ index: 1, event: event(7) }] },
    { placed: { first: 11, duplicates: [1] }, frame: 2 },
    { kind: 'committed', appends: 1, first: 13, duplicates: [{ index: 0, event: event(9) }] },
  ]);
  // The third request was known: there is nothing to tell.
  expect(other.heard).toEqual([
    { placed: { first: 10, duplicates: [1] }, frame: 1 },
    { kind: 'committed', appends: 2, first: 11, duplicates: [{ index: 1, event: event(8) }] },
  ]);
});

test('a commit that fails is told to each whose it was, and once to who watches', () => {
  const { join, reply, failed } = driven();
  const [one, other] = [join(), join()];
  one.way.post(append(1, 1, 1));
  other.way.post(append(2, 3, 3));
  const failure = { kind: 'failed' as const, appends: 4, reason: 'the disk is full', detail: 'full' };
  reply(failure);
  expect([one.heard, other.heard, failed]).toEqual([[{ ...failure, appends: 1 }], [{ ...failure, appends: 3 }], [failure]]);
});

test('questions are answered by their own ids, and what fails of them is told to who watches', () => {
  const { join, asked, reply, failed } = driven();
  const [one, other] = [join(), join()];
  one.way.post({ kind: 'bytes', id: 5 });
  other.way.post({ kind: 'bytes', id: 5 });
  const [first, second] = asked.map((request) => (request as { id: number }).id) as [number, number];
  reply({ kind: 'answer', id: second, value: 2 });
  reply({ kind: 'failed', id: first, of: 'bytes', reason: 'gone', detail: 'gone' });
  expect(other.heard).toEqual([{ kind: 'answer', id: 5, value: 2 }]);
  expect(one.heard).toEqual([{ kind: 'failed', id: 5, of: 'bytes', reason: 'gone', detail: 'gone' }]);
  expect(failed).toHaveLength(1);
});

test('a way is closed when all is settled that came over it, a copy that is being read and one that was released apart', () => {
  const { join, asked, reply } = driven();
  const one = join();
  one.way.post({ kind: 'copy', id: 1 });
  reply({ kind: 'answer', id: (asked[0] as { id: number }).id, value: { path: '/nowhere' } });
  one.way.post({ kind: 'release-copy', id: 1 });
  one.way.post(append(1, 1, 1));
  one.way.post({ kind: 'close', id: 2 });
  expect(one.heard).toHaveLength(1);
  reply({ kind: 'committed', appends: 1, first: 1, duplicates: [] });
  expect(one.heard.at(-1)).toEqual({ kind: 'answer', id: 2, value: undefined });
});

test('a copy whose asker is gone is removed, whether it was made before or is after', () => {
  using folder = temporaryFolder();
  const path = folder.file('copy');
  for (const isMadeBefore of [true, false]) {
    writeFileSync(path, 'x');
    const { join, asked, reply } = driven();
    const one = join();
    one.way.post({ kind: 'copy', id: 1 });
    const { id } = asked[0] as { id: number };
    const made = () => reply({ kind: 'answer', id, value: { path } });
    if (isMadeBefore) made();
    one.way.leave();
    if (!isMadeBefore) made();
    expect(existsSync(path)).toBe(false);
    expect(asked.at(-1)).toEqual({ kind: 'release-copy', id });
  }
});

test('the end of the log is told to everybody', () => {
  const { join, end } = driven();
  const [one, other] = [join(), join()];
  end(new Error('out of memory'));
  expect([one.heard, other.heard]).toEqual([[{ ended: 'out of memory' }], [{ ended: 'out of memory' }]]);
});
