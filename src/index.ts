/** What other projects import: a gateway within a process of their own. Where Node.js cannot run it, importing it says so. */
import { createRequire } from 'node:module';
import type * as gateway from './gateway.ts';
import { nodeProblem } from './node-version.js';

export type { Config, Gateway, GatewayOptions } from './gateway.ts';
export type ConfigError = gateway.ConfigError;

if (nodeProblem !== undefined) throw new Error(nodeProblem);
// Not imported: an earlier Node.js could not link it, and would never come to the line above.
const load = createRequire(import.meta.url);
export const { ConfigError, createGateway, parseConfig } = load(
  `./gateway${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`,
) as typeof gateway;
