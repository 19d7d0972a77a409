/** Courier's own clients, both at once, each publishing and subscribing, while the gateway is killed and ended under them. */
import { execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { CourierClient } from '../../client/src/index.ts';
import { EXACT, type Item, Ledger, LONG, report } from './ledger.ts';
import { storedEvents } from './load.ts';
import { startFirst } from './successors.ts';

const pathOf = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const PYTHON = pathOf('client/python/.venv/bin/python');
const RETRY = { minDelayMs: 20, maxDelayMs: 200, busyDelayMs: 20 };
const PUBLISHERS = 4;

interface Service {
  readonly items: readonly Item[];
  /** Resolves once it has acknowledged and received so many. */
  reaches(count: number): Promise<void>;
  /** Publishes no more; resolves when everything that was begun is acknowledged. */
  stop(): Promise<void>;
  /** Resolves once it has received this position, and has ended. */
  end(position: string): Promise<void>;
}

/** Resolves when a condition holds that is looked at whenever something came. */
function waiting() {
  const checks = new Set<() => void>();
  return {
    wake: () => {
      for (const check of checks) check();
    },
    until: (holds: () => boolean) =>
      new Promise<void>((resolve) => {
        const check = () => {
          if (!holds()) return;
          checks.delete(check);
          resolve();
        };
        checks.add(check);
        check();
      }),
  };
}

function typescriptService(url: string, token: string, ledger: Ledger): Service {
  const client = new CourierClient({ url, token, retry: RETRY, timeoutMs: 60_000, onGap: 'fail' });
  const items: Item[] = [];
  const { wake, until } = waiting();
  let acknowledged = 0;
  let stopped = false;
  const subscription = client.subscribe(
    'forge.job.*',
    ({ id, data }) => {
      items.push({ id, text: 'step' in data ? String(data.step) : '' });
      wake();
    },
    { from: 'earliest' },
  );
  const publisher = async (index: number) => {
    for (let n = 0; !stopped; n += 1) {
      const step = `typescript.${index}.${n}`;
      const { id } = await client.publish('forge.job.load', 'forge.job.progress', { job_id: 'load', progress: 0.5, step });
      ledger.acknowledge(id, step);
      acknowledged += 1;
      wake();
    }
  };
  const publishing = Promise.all(Array.from({ length: PUBLISHERS }, (_, index) => publisher(index)));
  return {
    items,
    reaches: (count) => Promise.race([until(() => Math.min(acknowledged, items.length) >= count), subscription.ended]),
    stop: async () => {
      stopped = true;
      await publishing;
    },
    end: async (position) => {
      await until(() => items.at(-1)?.id === position);
      await client.close();
      await subscription.ended;
    },
  };
}

function pythonService(url: string, token: string, ledger: Ledger): Service & Disposable {
  const child = spawn(PYTHON, [pathOf('test/faults/python_client.py'), url, token], { stdio: ['pipe', 'pipe', 'inherit'] });
  const items: Item[] = [];
  const { wake, until } = waiting();
  let acknowledged = 0;
  let isDone = false;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const told = JSON.parse(line) as { acknowledged?: string; received?: string; text: string; done?: string };
    if (told.acknowledged !== undefined) {
      ledger.acknowledge(told.acknowledged, told.text);
      acknowledged += 1;
    }
    if (told.received !== undefined) items.push({ id: told.received, text: told.text });
    isDone ||= told.done !== undefined;
    wake();
  });
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const unlessItEnds = (promise: Promise<void>) =>
    Promise.race([
      promise,
      exit.then((code) => {
        throw new Error(`the Python client ended with ${code}`);
      }),
    ]);
  return {
    items,
    reaches: (count) => unlessItEnds(until(() => Math.min(acknowledged, items.length) >= count)),
    stop: async () => {
      child.stdin.write('stop\n');
      await unlessItEnds(until(() => isDone));
    },
    end: async (position) => {
      await unlessItEnds(until(() => items.at(-1)?.id === position));
      child.stdin.end('end\n');
      expect(await exit).toBe(0);
    },
    [Symbol.dispose]: () => child.kill('SIGKILL'),
  };
}

test.for([
  { signal: 'SIGKILL', name: 'kill -9' },
  { signal: 'SIGTERM', name: 'SIGTERM' },
] as const)('both clients, $name three times', { timeout: 300_000 }, async ({ signal, name }, { task }) => {
  execFileSync(process.execPath, [pathOf('scripts/python.ts'), '--only', 'environment'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const between = LONG ? 2000 : 100;
  await using gateways = await startFirst();
  const ledger = new Ledger();
  using python = pythonService(gateways.url, gateways.token, ledger);
  const typescript = typescriptService(gateways.url, gateways.token, ledger);
  const all = [typescript, python];
  for (let kill = 1; kill <= 3; kill += 1) {
    await Promise.all(all.map((service) => service.reaches(kill * between)));
    await gateways.restart(signal);
  }
  await Promise.all(all.map((service) => service.reaches(4 * between)));
  await Promise.all(all.map((service) => service.stop()));
  const stored = await storedEvents(gateways.url, gateways.token);
  await Promise.all(all.map((service) => service.end(stored.at(-1)?.id ?? '')));
  const figures = ledger.compare(stored, typescript.items);
  const others = ledger.compare(stored, python.items);
  const { received, lost, duplicated } = others;
  const ofPython = { 'Python received': received, 'Python lost': lost, 'Python duplicated': duplicated };
  report(task, 1, `${name} under both clients, three times`, { ...figures, ...ofPython });
  expect(figures).toMatchObject(EXACT);
  expect(others).toMatchObject(EXACT);
});
