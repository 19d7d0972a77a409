/** Gateways one after another on one address and one log. */
import { temporaryFolder } from '../helpers/folder.ts';
import { type GatewayProcess, processToken, startProcess } from '../helpers/process.ts';

export interface Successors extends AsyncDisposable {
  readonly url: string;
  /** A token of the service forge. */
  readonly token: string;
  readonly process: GatewayProcess;
  /** The most memory that one of them has held. */
  readonly peakMemory: string;
  /** Ends the gateway and starts the next; resolves to the exit code. */
  restart(signal: NodeJS.Signals): Promise<number | string>;
}

export async function startFirst(): Promise<Successors> {
  const folder = temporaryFolder();
  const env: Record<string, string> = { COURIER_LOG: `sqlite:${folder.file('courier.db')}` };
  let current = await startProcess(env);
  env['COURIER_PORT'] = new URL(current.url).port;
  const { url } = current;
  const token = await processToken('forge', 'service');
  let peakBytes = 0;
  const endCurrent = async (signal: NodeJS.Signals) => {
    peakBytes = Math.max(peakBytes, current.peakRssBytes());
    return current.end(signal);
  };
  return {
    url,
    token,
    get process() {
      return current;
    },
    get peakMemory() {
      return `${Math.round(Math.max(peakBytes, current.peakRssBytes()) / 1e6)} MB`;
    },
    restart: async (signal) => {
      const code = await endCurrent(signal);
      current = await startProcess(env);
      return code;
    },
    [Symbol.asyncDispose]: async () => {
      await current[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}
