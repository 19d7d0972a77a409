/** The contract that a gateway serves: that of a file, or Lumiere's. */
import { statSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Config, ConfigError, type Environment, limitsOfChannels, parseConfig } from './config.ts';
import { Contract } from './contract/contract.ts';
import { ContractError } from './contract/define.ts';
import { legible } from './observe/legible.ts';

/** What the file of a contract imports, wherever the file is: this Courier's own module. */
const MODULE = '@lumiere/courier/contract';

/** Where Lumiere's contract is. */
export const LUMIERE = new URL(`./contracts/lumiere/contract${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

/** @param path of a module whose default export is a contract, from the working directory. @throws {ConfigError} */
export async function loadContract(path: string | undefined): Promise<Contract> {
  const url = path === undefined ? LUMIERE : pathToFileURL(resolve(path));
  const what = path === undefined ? "Lumiere's contract" : `COURIER_CONTRACT ${legible(path)}`;
  const refusal = (reason: string, cause?: unknown) => new ConfigError(`${what}: ${reason}`, { cause });
  if (!statSync(url, { throwIfNoEntry: false })?.isFile()) throw refusal('there is no such file');
  const loaded: { readonly default?: unknown } = await importWithCourier(url, what).catch((error: unknown) => {
    if (error instanceof ContractError) throw new ConfigError(error.message.split('\n').map((line) => `${what}: ${line}`));
    throw refusal(`cannot be loaded: ${messageOf(error, url)}`, error);
  });
  if (loaded.default instanceof Contract) return loaded.default;
  throw refusal('its default export is no contract: export default defineContract({ ... })');
}

/**
 * Parses the environment of a gateway.
 *
 * @throws {ConfigError} with all that is wrong; so that it is told in one go, also what the contract says of the channels that have
 * limits.
 */
export async function readConfig(env: Environment): Promise<Config> {
  try {
    return parseConfig(env);
  } catch (error) {
    throw error instanceof ConfigError ? await withChannelProblems(error, env) : error;
  }
}

async function withChannelProblems({ problems }: ConfigError, env: Environment): Promise<ConfigError> {
  const channels = limitedChannels(env['COURIER_LIMITS'] ?? '');
  const isContractNamed = !problems.some((problem) => problem.startsWith('COURIER_CONTRACT '));
  if (channels.size === 0 || !isContractNamed) return new ConfigError(problems);
  try {
    limitsOfChannels({ limits: { channels } }, await loadContract(env['COURIER_CONTRACT'] || undefined));
    return new ConfigError(problems);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return new ConfigError([...problems, ...error.problems]);
  }
}

/** The channels that have limits, whatever else is wrong with those. */
function limitedChannels(json: string): Map<string, object> {
  try {
    const { channels } = Object(JSON.parse(json)) as { readonly channels?: unknown };
    return new Map(Object.keys(Object(channels)).map((name) => [name, {}]));
  } catch {
    return new Map();
  }
}

async function importWithCourier(url: URL, what: string): Promise<{ readonly default?: unknown }> {
  const contract = new URL(`./contract/index${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url).href;
  const hooks = registerHooks({
    resolve: (specifier, context, next) => {
      if (specifier === MODULE) return { url: contract, shortCircuit: true };
      const found = next(specifier, context);
      // TypeScript of a contract is a module, also where a package says that its files are none, as `npm init` writes, or nothing.
      const isUntold = !found.format && found.url.endsWith('.ts');
      return isUntold || found.format === 'commonjs-typescript' ? { ...found, format: 'module-typescript' } : found;
    },
  });
  // A module that ends the process, or waits for what never comes.
  const onExit = () => {
    process.stderr.write(`courier: ${what}: the process ended while it was loaded\n`);
    process.exitCode = 2;
  };
  process.once('exit', onExit);
  try {
    return await import(url.href);
  } finally {
    process.off('exit', onExit);
    hooks.deregister();
  }
}

/** In one line, with the line of the file where that is known. */
function messageOf(error: unknown, { href }: URL): string {
  if (!(error instanceof Error)) return String(error);
  const { stack = '' } = error;
  const line = /^:(\d+)/.exec(stack.slice(stack.indexOf(href) + href.length))?.[1];
  return `${error.message.replaceAll(/\s+/g, ' ').trim()}${stack.includes(href) && line !== undefined ? ` (line ${line})` : ''}`;
}
