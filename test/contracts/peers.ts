/** What all peers guarantee, as tests. Each implementation runs them all through a factory of its own. */
import { describe, expect, test } from 'vitest';
import type { Answerers, Peers } from '../../src/cluster/peers.ts';

/** Makes peers of each other, which answer with their names. */
export interface PeersFactory extends AsyncDisposable {
  open(name: string): Promise<Peers>;
}

export interface PeersSuite {
  /** How many instances so many are: as many, or the one whose workers they are. */
  readonly instancesOf: (members: number) => number;
  readonly factory: () => Promise<PeersFactory> | PeersFactory;
}

export const answers = (name: string): Answerers => ({
  stats: () => Promise.resolve(name),
  series: () => [],
  channels: () => [],
  contractUsers: () => [],
  recipients: () => ({ total: 0, recipients: [] }),
  connections: ({ sub }) => `${name}: ${sub}`,
  disconnect: () => {
    throw new Error('failed');
  },
  oldestStream: () => null,
  yieldPlace: () => false,
  revoked: () => 1,
  logLevel: () => null,
});

export function describePeers(name: string, { instancesOf, factory }: PeersSuite): void {
  describe(`${name} as peers`, () => {
    const open = async (place: PeersFactory, names: readonly string[]) => {
      const all: Peers[] = [];
      for (const each of names) {
        const peers = await place.open(each);
        peers.answer(answers(each));
        all.push(peers);
      }
      return all;
    };

    test('the last to come knows of all, and is answered by each of the others', async () => {
      await using place = await factory();
      const [, , last] = await open(place, ['a', 'b', 'c']);
      expect([last?.members, last?.instances]).toEqual([3, instancesOf(3)]);
      expect((await last?.ask('stats', null))?.sort()).toEqual(['a', 'b']);
      expect((await last?.ask('connections', { sub: 'ada' }))?.sort()).toEqual(['a: ada', 'b: ada']);
    });

    test('who fails to answer is passed over', async () => {
      await using place = await factory();
      const [, , last] = await open(place, ['a', 'b', 'c']);
      expect(await last?.ask('disconnect', { connection_id: 'x' })).toEqual([]);
      expect((await last?.ask('revoked', null))?.length).toBe(2);
    });

    test('many questions at once have each its own answers', async () => {
      await using place = await factory();
      const [, last] = await open(place, ['b', 'a']);
      const asked = Array.from({ length: 50 }, (_, index) => last?.ask('connections', { sub: `s${index}` }));
      expect(await Promise.all(asked)).toEqual(asked.map((_, index) => [`b: s${index}`]));
    });
  });
}
