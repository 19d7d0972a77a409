/**
 * The scripted server in a process of its own, for clients in other languages. Prints one line of JSON with its address,
 * `{"url": "http://127.0.0.1:49152"}`, and ends when its standard input does.
 */
import { once } from 'node:events';
import { startScriptedServer } from './server.ts';

await using server = await startScriptedServer();
process.stdout.write(`${JSON.stringify({ url: server.url })}\n`);
await once(process.stdin.resume(), 'end');
