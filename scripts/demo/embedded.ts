import { once } from 'node:events';
import { createGateway, parseConfig } from '@lumiere/courier';
import contract from './contract.ts';

/** What cannot be had, such as a port that is in use, is told in one line. */
const refuse = (error: Error) => {
  console.error(error.message);
  process.exit(1);
};
await using gateway = await createGateway(parseConfig(process.env), { contract }).catch(refuse);
console.log(`the weather is at ${gateway.url}`);
await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
// The end of the scope drains the gateway: what is in flight is finished, connections are closed, and the log last.
