/** The cursors of the TypeScript client: they fail when they are made, and lose no position. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { CourierClient, CourierError, localStorageCursor } from '../../client/src/index.ts';
import { fileCursor } from '../../client/src/node.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { startGateway } from '../helpers/gateway.ts';
import { progressOf } from '../helpers/samples.ts';

function refusal(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('it was not refused');
}

const wrong = (argument: string, message: RegExp | string = '') => ({
  code: 'INVALID_ARGUMENT',
  message: expect.stringMatching(new RegExp(`^${argument}: .*${typeof message === 'string' ? message : message.source}`, 's')),
});
/** A path in a folder that is gone after the test. */
function file(...names: string[]): string {
  const folder = temporaryFolder();
  onTestFinished(() => folder[Symbol.dispose]());
  return join(folder.path, ...names);
}

describe('a cursor in a file', () => {
  test('makes its folder, and keeps the last position', async () => {
    const path = file('a', 'b', 'position');
    {
      await using cursor = fileCursor(path);
      expect(cursor.load()).toBeNull();
      await cursor.save('e1-1');
      await cursor.save('e1-2');
      expect(cursor.load()).toBe('e1-2');
    }
    expect(fileCursor(path).load()).toBe('e1-2');
    expect(readdirSync(join(path, '..'))).toEqual(['position']);
  });

  test('fails when it is made, naming what is wrong', () => {
    const taken = file('taken');
    writeFileSync(taken, 'e1-1\n');
    expect(refusal(() => fileCursor(join(taken, 'below')))).toMatchObject(wrong('path'));
    expect(refusal(() => fileCursor(join(taken, '..')))).toMatchObject(wrong('path', 'is no file'));
    const other = file('other');
    writeFileSync(other, 'something else');
    expect(refusal(() => fileCursor(other))).toMatchObject(wrong('path', 'holds no position of Courier'));
    writeFileSync(other, '');
    expect(refusal(() => fileCursor(other))).toMatchObject(wrong('path', 'holds no position of Courier'));
    for (const path of [undefined, null, '', 5] as never[]) expect(refusal(() => fileCursor(path))).toMatchObject(wrong('path'));
    for (const syncEveryMs of [-1, Number.NaN, '5', null] as never[]) {
      expect(refusal(() => fileCursor(taken, { syncEveryMs }))).toMatchObject(wrong('syncEveryMs'));
    }
  });

  test('syncs at most every so often, by another file in its place, and at the end', async () => {
    const path = file('position');
    const id = () => statSync(path, { bigint: true }).ino;
    const cursor = fileCursor(path, { syncEveryMs: Number.POSITIVE_INFINITY });
    await cursor.save('e1-1');
    const first = id();
    for (const position of ['e1-2', 'abcdefghij-123456', 'e1-3']) {
      await cursor.save(position);
      expect(cursor.load()).toBe(position);
      expect(readFileSync(path)).toHaveLength(64);
    }
    expect(id()).toBe(first);
    await cursor.close();
    expect(id()).not.toBe(first);
    const closed = id();
    // There is nothing to sync any more.
    await cursor.close();
    expect(id()).toBe(closed);
    expect(fileCursor(path).load()).toBe('e1-3');
    const always = fileCursor(path, { syncEveryMs: 0 });
    await always.save('e1-4');
    const before = id();
    await always.save('e1-5');
    expect(id()).not.toBe(before);
  });

  test('keeps what is saved while it closes, and later', async () => {
    const path = file('position');
    const cursor = fileCursor(path);
    await cursor.save('e1-1');
    await cursor.save('e1-2');
    const closing = cursor.close();
    await Promise.all([cursor.save('e1-3'), closing]);
    expect(cursor.load()).toBe('e1-3');
    const id = () => statSync(path, { bigint: true }).ino;
    const closed = id();
    await cursor.save('e1-4');
    expect(cursor.load()).toBe('e1-4');
    expect(id()).not.toBe(closed);
  });

  test.each([0, Number.POSITIVE_INFINITY])(
    'takes positions that do not wait for each other, with a sync every %d ms',
    async (syncEveryMs) => {
      const path = file('position');
      const cursor = fileCursor(path, { syncEveryMs });
      const saved = Array.from({ length: 20 }, (_, seq) => cursor.save(`e1-${seq}`));
      await Promise.all([...saved, cursor.close(), cursor.save('e1-20'), cursor.close()]);
      expect(fileCursor(path).load()).toBe('e1-20');
      expect(readdirSync(join(path, '..'))).toEqual(['position']);
    },
  );

  test('is made again when somebody removes it', async () => {
    const path = file('position');
    const cursor = fileCursor(path, { syncEveryMs: Number.POSITIVE_INFINITY });
    await cursor.save('e1-1');
    rmSync(path);
    await cursor.save('e1-2');
    expect(fileCursor(path).load()).toBe('e1-2');
  });

  test('throws only CourierErrors, and keeps what it had', async () => {
    const path = file('folder', 'position');
    const cursor = fileCursor(path, { syncEveryMs: 0 });
    await cursor.save('e1-1');
    rmSync(join(path, '..'), { recursive: true });
    const error = await Promise.resolve(cursor.save('e1-2')).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CourierError);
    expect(error).toMatchObject({ code: 'CURSOR_UNAVAILABLE', retryable: true, message: expect.stringContaining(path) });
    await expect(cursor.close()).rejects.toMatchObject({ code: 'CURSOR_UNAVAILABLE' });
    mkdirSync(join(path, '..'));
    await cursor.close();
    expect(fileCursor(path).load()).toBe('e1-2');
    rmSync(path);
    mkdirSync(path);
    expect(refusal(() => cursor.load())).toMatchObject({ code: 'CURSOR_UNAVAILABLE' });
  });

  test('loses nothing with a process that is killed', async () => {
    const path = file('position');
    const entry = pathToFileURL(new URL('../../client/src/node.ts', import.meta.url).pathname).href;
    const script = `
      import { fileCursor } from ${JSON.stringify(entry)};
      const cursor = fileCursor(${JSON.stringify(path)});
      for (let seq = 1; ; seq += 1) {
        await cursor.save('e1-' + seq);
        if (!process.stdout.write(seq + '\\n')) await new Promise((resolve) => process.stdout.once('drain', resolve));
      }`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    let last = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      last = Number(line);
      if (last === 500) child.kill('SIGKILL');
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    const saved = Number(fileCursor(path).load()?.split('-')[1]);
    expect(saved).toBeGreaterThanOrEqual(last);
    expect(saved).toBeLessThanOrEqual(last + 100_000);
    expect(last).toBeGreaterThanOrEqual(500);
  });

  test('lets another client go on where the first has stopped', async () => {
    await using gateway = await startGateway();
    await using client = new CourierClient({ url: gateway.url, token: await gateway.token('ada', 'admin') });
    const ids: string[] = [];
    for (const fraction of [0.1, 0.2, 0.3]) ids.push((await client.publish('backtest.b1', 'backtest.progress', progressOf(fraction))).id);
    const path = file('position');
    const take = async (count: number) => {
      await using cursor = fileCursor(path);
      const taken: string[] = [];
      for await (const { id } of client.subscribe('backtest.*', { from: 'earliest', cursor })) {
        taken.push(id);
        if (taken.length === count) break;
      }
      return taken;
    };
    expect(await take(2)).toEqual(ids.slice(0, 2));
    // The second was given, and nobody said that it was handled.
    expect(await take(2)).toEqual(ids.slice(1));
  });

  test('fails when it is made in a folder that takes no files, or that cannot be made', () => {
    for (const path of ['/proc/self/position', '/proc/nope/x', '/proc/nope/deeper/x']) {
      expect(refusal(() => fileCursor(path))).toMatchObject(wrong('path'));
    }
  });

  test('writes no file that somebody has put in its way, and lets nobody else read its own', async () => {
    const path = file('position');
    const other = file('other');
    writeFileSync(other, 'of somebody else');
    symlinkSync(other, join(path, '..', '.position.tmp'));
    await using cursor = fileCursor(path, { syncEveryMs: 0 });
    await cursor.save('e1-1');
    await cursor.save('e1-2');
    expect(readFileSync(other, 'utf8')).toBe('of somebody else');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(path, '..')).toSorted()).toEqual(['.position.tmp', 'position']);
  });

  test('removes what processes that were killed have left, and nothing else', () => {
    const path = file('position');
    const folder = join(path, '..');
    const leftover = (cursor: string, letter: string) => `.${cursor}.${`${letter.repeat(8)}-0000-4000-8000-000000000000`}.tmp`;
    const old = [leftover('position', 'a'), leftover('position', 'b'), leftover('other', 'a'), '.position.mine.tmp'];
    for (const name of [...old, leftover('position', 'c')]) writeFileSync(join(folder, name), '');
    for (const name of old) utimesSync(join(folder, name), 1, 1);
    fileCursor(path);
    expect(readdirSync(folder).toSorted()).toEqual([leftover('other', 'a'), leftover('position', 'c'), '.position.mine.tmp'].toSorted());
  });

  test('removes no folder and no link that has the name of a leftover, and works beside them', async () => {
    const path = file('position');
    const folder = join(path, '..');
    const names = ['a', 'b'].map((letter) => `.position.${letter.repeat(8)}-0000-4000-8000-000000000000.tmp`) as [string, string];
    mkdirSync(join(folder, names[0]));
    symlinkSync(file('nowhere'), join(folder, names[1]));
    utimesSync(join(folder, names[0]), 1, 1);
    lutimesSync(join(folder, names[1]), 1, 1);
    await using cursor = fileCursor(path, { syncEveryMs: 0 });
    await cursor.save('e1-1');
    expect(readdirSync(folder).toSorted()).toEqual([...names, 'position'].toSorted());
  });

  test.runIf(process.getuid?.() === 0)('works beside a leftover of another user, which it may not remove', async () => {
    const path = file('position');
    const folder = join(path, '..');
    const name = '.position.aaaaaaaa-0000-4000-8000-000000000000.tmp';
    writeFileSync(join(folder, name), '');
    utimesSync(join(folder, name), 1, 1);
    // As in /tmp, where a file is removed by its owner only.
    chmodSync(folder, 0o1777);
    const entry = pathToFileURL(new URL('../../client/src/node.ts', import.meta.url).pathname).href;
    const script = `
      import { fileCursor } from ${JSON.stringify(entry)};
      process.setuid(65534);
      await fileCursor(${JSON.stringify(path)}, { syncEveryMs: 0 }).save('e1-1');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(readdirSync(folder).toSorted()).toEqual([name, 'position'].toSorted());
  });
});

describe('a cursor in localStorage', () => {
  afterEach(() => vi.unstubAllGlobals());

  function storage(items: Record<string, string> = {}) {
    return {
      getItem: (key: string) => items[key] ?? null,
      setItem: (key: string, value: string) => {
        items[key] = value;
      },
    };
  }

  test('keeps the last position', () => {
    vi.stubGlobal('localStorage', storage());
    const cursor = localStorageCursor('a');
    expect(cursor.load()).toBeNull();
    cursor.save('e1-1');
    expect(localStorageCursor('a').load()).toBe('e1-1');
    expect(localStorageCursor('b').load()).toBeNull();
  });

  test('fails when it is made, naming what is wrong', () => {
    vi.stubGlobal('localStorage', undefined);
    expect(refusal(() => localStorageCursor('a'))).toMatchObject(wrong('key', 'localStorage'));
    vi.stubGlobal('localStorage', storage({ a: 'something else' }));
    expect(refusal(() => localStorageCursor('a'))).toMatchObject(wrong('key', 'holds no position of Courier'));
    for (const key of [undefined, null, '', 5] as never[]) expect(refusal(() => localStorageCursor(key))).toMatchObject(wrong('key'));
  });

  test('throws only CourierErrors', () => {
    const full = () => {
      throw new DOMException('the quota is exceeded', 'QuotaExceededError');
    };
    vi.stubGlobal('localStorage', { ...storage(), setItem: full });
    const error = refusal(() => localStorageCursor('a').save('e1-1'));
    expect(error).toBeInstanceOf(CourierError);
    expect(error).toMatchObject({ code: 'CURSOR_UNAVAILABLE', message: expect.stringContaining('the quota is exceeded') });
  });
});
