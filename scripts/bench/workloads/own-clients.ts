/** Publishing with Courier's own clients, to SQLite: what that costs the gateway, and the client. */
import { existsSync } from 'node:fs';
import { PYTHON } from '../../python-environment.ts';
import type { ClientAnswer, ClientQuestion } from '../own-clients.ts';
import { startPythonWorker, startWorker, type Worker } from '../processes.ts';
import { cpuMicrosOf, startGatewayStage } from './gateway-stage.ts';
import { inTurn, type Row, type Settings, type Workload } from './workload.ts';

interface Case {
  readonly name: string;
  readonly start: () => Promise<Worker<ClientQuestion, ClientAnswer>>;
  readonly way: ClientQuestion['way'];
  readonly inFlight: readonly number[];
}

const TYPESCRIPT: readonly Case[] = [
  { name: 'TypeScript, publish', start: () => startWorker('./own-clients.ts'), way: 'publish', inFlight: [1, 10, 256, 1000] },
  { name: 'TypeScript, BackgroundPublisher', start: () => startWorker('./own-clients.ts'), way: 'background', inFlight: [1000] },
];
const PYTHON_CLIENT: Case = {
  name: 'Python, publish',
  start: () => startPythonWorker('./own_clients.py'),
  way: 'publish',
  inFlight: [64, 256],
};

async function ownClients(settings: Settings): Promise<Row[]> {
  const hasPython = existsSync(PYTHON);
  if (!hasPython) settings.note('without the Python client: client/python/.venv is not there; `npm run test:python` makes it');
  const rows: Row[] = [];
  for (const { name, start, way, inFlight } of hasPython ? [...TYPESCRIPT, PYTHON_CLIENT] : TYPESCRIPT) {
    for (const count of settings.quick ? inFlight.slice(-1) : inFlight) {
      const title = `${name}, ${count} ${way === 'publish' ? 'in flight' : 'waiting'}`;
      const measured = await inTurn(settings, title, ['courier'], async () => {
        await using stack = new AsyncDisposableStack();
        const { port, token } = stack.use(await startGatewayStage());
        const client = stack.use(await start());
        const publish = (seconds: number) => client.ask({ way, port, token, inFlight: count, seconds }, 'published');
        await publish(settings.seconds / 2);
        const before = await cpuMicrosOf(port);
        const { acks, seconds, cpuMicros } = await publish(settings.seconds);
        const gatewayMicros = (await cpuMicrosOf(port)) - before;
        return { 'events/s': acks / seconds, 'gateway CPU µs/event': gatewayMicros / acks, 'client CPU µs/event': cpuMicros / acks };
      });
      rows.push(...measured);
    }
  }
  return rows;
}

export const ownClientWorkloads: readonly Workload[] = [
  { name: 'clients', title: "Durable publishing with Courier's own clients (SQLite)", run: ownClients },
];
