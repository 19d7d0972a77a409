import { once } from 'node:events';
import { createGateway, parseConfig } from '@lumiere/courier';
import contract from './contract.ts';

await using gateway = await createGateway(parseConfig(process.env), { contract });
console.log(`the weather is at ${gateway.url}`);
await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
// The end of the scope drains the gateway: what is in flight is finished, connections are closed, and the log last.
