/** Replays: one of a long log, those of everyone who resumes, and one that goes on and on beside publishers. */
import { setTimeout as wait } from 'node:timers/promises';
import type { LoadAnswer, LoadQuestion } from '../load.ts';
import type { Worker } from '../processes.ts';
import { fillLog, type GatewayStage, startGatewayStage } from './gateway-stage.ts';
import { inTurn, type Row, type Settings, thousands, type Workload } from './workload.ts';

async function replay(settings: Settings): Promise<Row[]> {
  const events = settings.quick ? 100_000 : 1_000_000;
  return inTurn({ ...settings, rounds: 1 }, `${thousands(events)} events to one subscriber`, ['courier'], async () => {
    await using stage = await startGatewayStage((path) => fillLog(path, events));
    const { port, token } = stage;
    const { seconds } = await stage.load.ask({ kind: 'catch-up', port, token, clients: 1, events }, 'caught-up');
    return { 'events/s': events / seconds };
  });
}

async function herd(settings: Settings): Promise<Row[]> {
  const clients = settings.quick ? 500 : 5000;
  const missed = 200;
  const stored = 20_000;
  return inTurn({ ...settings, rounds: 1 }, `${thousands(clients)} clients, ${missed} events each`, ['courier'], async () => {
    await using stage = await startGatewayStage((path) => fillLog(path, stored));
    const { port, token } = stage;
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { authorization: `Bearer ${token}` } });
      return (await response.json()) as { log: { head: string; reads: number } };
    };
    const { head } = (await get('/stats')).log;
    const lastEventId = head.replace(/\d+$/, String(stored - missed));
    const { seconds } = await stage.load.ask({ kind: 'catch-up', port, token, clients, lastEventId, events: missed }, 'caught-up');
    return { seconds, 'events/s': (clients * missed) / seconds, 'log reads': (await get('/stats')).log.reads };
  });
}

/** Each round on one gateway: the replay alone, the publishers alone, and both. */
async function besideReplay(settings: Settings): Promise<Row[]> {
  const events = settings.quick ? 5000 : 20_000;
  const rows: Row[] = [];
  for (const inFlight of settings.quick ? [16] : [16, 128]) {
    const name = `${inFlight} in flight over WebSocket, ${thousands(events)} events replayed again and again`;
    const measured = await inTurn(settings, name, ['courier'], async () => {
      await using stage = await startGatewayStage((path) => fillLog(path, events));
      const other = await stage.startLoad();
      const { load, port, token } = stage;
      const publish = (seconds: number) =>
        load.ask({ kind: 'publish', transport: 'tRPC WebSocket', port, token, inFlight, seconds }, 'published');
      await publish(settings.seconds / 2);
      const replayAlone = await replayDuring(stage, other, events, wait(settings.seconds * 1000));
      const alone = await publish(settings.seconds);
      const both = publish(settings.seconds);
      const replayBeside = await replayDuring(stage, other, events, both);
      const beside = await both;
      return {
        'acks/s alone': alone.acksPerSecond,
        'acks/s beside': beside.acksPerSecond,
        'acks ratio': beside.acksPerSecond / alone.acksPerSecond,
        'p99 ms alone': alone.p99Ms,
        'p99 ms beside': beside.p99Ms,
        'replayed/s alone': replayAlone,
        'replayed/s beside': replayBeside,
      };
    });
    rows.push(...measured);
  }
  return rows;
}

/** Replays to one subscriber, again and again, until something else is over. Resolves to the events replayed a second. */
async function replayDuring(
  { port, token }: GatewayStage,
  load: Worker<LoadQuestion, LoadAnswer>,
  events: number,
  other: Promise<unknown>,
): Promise<number> {
  let isOver = false;
  const over = other.finally(() => {
    isOver = true;
  });
  let replays = 0;
  const startedAt = performance.now();
  do {
    await load.ask({ kind: 'catch-up', port, token, clients: 1, events }, 'caught-up');
    replays += 1;
  } while (!isOver);
  const seconds = (performance.now() - startedAt) / 1000;
  await over;
  return (replays * events) / seconds;
}

export const replayWorkloads: readonly Workload[] = [
  { name: 'replay', title: 'Replay from SQLite', run: replay },
  { name: 'herd', title: 'Everyone reconnects and resumes', run: herd },
  { name: 'beside-replay', title: 'Publishing beside a subscriber that replays again and again (SQLite)', run: besideReplay },
];
