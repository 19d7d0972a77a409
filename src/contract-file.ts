/** The contract that a gateway serves: that of a file, or Lumiere's. */
import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError } from './config.ts';
import { Contract } from './contract/contract.ts';
import { ContractError } from './contract/define.ts';

/** What the file of a contract imports, wherever the file is: this Courier's own module. */
const MODULE = '@lumiere/courier/contract';

/** Where Lumiere's contract is. */
export const LUMIERE = new URL(`./contracts/lumiere/contract${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

/** @param path of a module whose default export is a contract, from the working directory. @throws {ConfigError} */
export async function loadContract(path: string | undefined): Promise<Contract> {
  const url = path === undefined ? LUMIERE : pathToFileURL(resolve(path));
  const refusal = (reason: string, cause?: unknown) => new ConfigError(`COURIER_CONTRACT ${path}: ${reason}`, { cause });
  if (path !== undefined && !existsSync(url)) throw refusal('there is no such file');
  const loaded: { readonly default?: unknown } = await importWithCourier(url).catch((error: unknown) => {
    if (error instanceof ContractError) throw new ConfigError(error.message.split('\n').map((line) => `COURIER_CONTRACT ${path}: ${line}`));
    throw refusal(`cannot be loaded: ${messageOf(error)}`, error);
  });
  if (loaded.default instanceof Contract) return loaded.default;
  throw refusal('its default export is no contract: export default defineContract({ ... })');
}

async function importWithCourier(url: URL): Promise<{ readonly default?: unknown }> {
  const contract = new URL(`./contract/index${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url).href;
  const hooks = registerHooks({
    resolve: (specifier, context, next) => (specifier === MODULE ? { url: contract, shortCircuit: true } : next(specifier, context)),
  });
  try {
    return await import(url.href);
  } finally {
    hooks.deregister();
  }
}

/** In one line. */
function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ').trim();
}
