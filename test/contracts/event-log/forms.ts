/** What is guaranteed of the forms of events, and of families of channels that a log knows by name only. */
import { describe, expect, test } from 'vitest';
import { familyPattern } from '../../../src/contract/channels.ts';
import { newEvent } from '../../helpers/events.ts';
import { channelSetOf, EVERYTHING, FAMILIES } from '../../helpers/lumiere.ts';
import { type LogSuite, never, readAll, readBack } from './logs.ts';

const ofFamily = (name: string) => ({ everything: false, families: new Set([name]), singles: new Set<string>() });

export function describeForms({ factory }: Pick<LogSuite, 'factory'>): void {
  describe('forms and families', () => {
    test('an event keeps the version of its form, also as a duplicate and after opening again', async () => {
      await using logs = await factory();
      const events = [1, 2, 7].map((version) => newEvent('backtest.b1', { version, key: `k${version}` }));
      {
        await using log = await logs.open();
        expect((await log.append(events)).map(({ event }) => event.version)).toEqual([1, 2, 7]);
        const again = await log.append(events.map((event) => ({ ...event, version: 9 })));
        expect(again.map(({ event, duplicate }) => [event.version, duplicate])).toEqual([1, 2, 7].map((version) => [version, true]));
        expect((await readAll(log, channelSetOf(['backtest.*']))).map(({ version }) => version)).toEqual([1, 2, 7]);
      }
      await using log = await logs.open();
      for (const { version } of await readBack(log, EVERYTHING)) expect([1, 2, 7]).toContain(version);
    });

    test('families that no contract of now has keep their events, which come with all, and with nothing else', async () => {
      await using logs = await factory();
      await using log = await logs.open();
      const strange = [newEvent('ship.hull.h1'), newEvent('dock.d1'), newEvent('ship.hull.h2')];
      await log.append([newEvent('user.u1'), ...strange, newEvent('global')]);
      expect((await log.read({ afterSeq: 0, channels: 'all', limit: 10 }, never)).events.map(({ channel }) => channel)).toEqual([
        'user.u1',
        'ship.hull.h1',
        'dock.d1',
        'ship.hull.h2',
        'global',
      ]);
      expect((await readAll(log, EVERYTHING)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
      expect((await readBack(log, EVERYTHING)).map(({ seq }) => seq)).toEqual([5, 4, 3, 2, 1]);
      const known = channelSetOf(FAMILIES.map(familyPattern));
      expect((await readAll(log, known)).map(({ seq }) => seq)).toEqual([1, 5]);
      expect((await readBack(log, known)).map(({ seq }) => seq)).toEqual([5, 1]);
      expect((await readAll(log, ofFamily('ship.hull'))).map(({ seq, family }) => [seq, family])).toEqual([
        [2, 'ship.hull'],
        [4, 'ship.hull'],
      ]);
      expect(await readAll(log, ofFamily('never'))).toEqual([]);
    });

    test('a family begins with its first event, whoever else has the log open, and not with one that was not stored', async () => {
      await using logs = await factory();
      await using log = await logs.open();
      expect(await readAll(log, ofFamily('late'))).toEqual([]);
      await log.append([newEvent('late.l1')]);
      await log.append([newEvent('later.l1'), newEvent('late.l2')]);
      expect((await readAll(log, ofFamily('late'))).map(({ seq }) => seq)).toEqual([1, 3]);
      expect((await readAll(log, ofFamily('later'))).map(({ seq }) => seq)).toEqual([2]);
    });
  });
}
