/** Where the gateway is when nobody says so: where one of the same variables listens. */

import { environment } from '../../src/config/variables.ts';
import { ConfigError } from '../../src/config.ts';
import { CliError, EXIT } from './errors.ts';

const listening = environment.pick({ COURIER_HOST: true, COURIER_PORT: true, COURIER_BASE_PATH: true });
/** What listens on every address of the machine is reached on that of the machine itself. */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** @throws {ConfigError} for a wrong variable; {CliError} where they do not say. */
export function defaultAddress(env: NodeJS.ProcessEnv): string {
  const { data, error } = listening.safeParse(env);
  if (data === undefined) throw new ConfigError(error.issues.map(({ path, message }) => `${String(path[0])} ${message}`));
  const { COURIER_HOST, COURIER_PORT: port, COURIER_BASE_PATH: basePath = '' } = data;
  if (port === 0) throw new CliError('COURIER_PORT is 0, which is any free port: name the gateway with --url or COURIER_URL', EXIT.usage);
  const host = LOOPBACK[COURIER_HOST] ?? COURIER_HOST;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}${basePath}`;
}
