/** What a client says to a tRPC WebSocket server, as data: played to tRPC's own and to Courier's, it has to hear the same. */
import superjson from 'superjson';
import { openSocket } from './raw-socket.ts';
import type { TestServer } from './trpc-servers.ts';

/** Done once `after` messages have come: says something, or lets what waits on the server's stage go on. */
export type Step = { readonly after?: number } & ({ readonly message: unknown } | { readonly go: true });

export interface Script {
  /** Added to the address. */
  readonly query?: string;
  /** Done one after another. */
  readonly send: readonly Step[];
  /** Messages to wait for in the end. */
  readonly expect: number;
}

export const call = (id: unknown, method: string, path: string, input?: unknown, more: object = {}) => ({
  id,
  method,
  params: { path, input: superjson.serialize(input), ...more },
});

export const stop = (id: unknown) => ({ id, method: 'subscription.stop' });

/** The messages about each call, in their order; which of two calls is answered first is promised by nobody. */
export function byCall(messages: readonly string[]): Partial<Record<string, string[]>> {
  return Object.groupBy(messages, (text) => (text.startsWith('{') ? JSON.stringify(JSON.parse(text).id) : text));
}

/** Resolves to the messages that came. */
export async function play(server: TestServer, script: Script): Promise<string[]> {
  await using socket = await openSocket(server.url + (script.query ?? ''));
  for (const { after = 0, ...step } of script.send) {
    await socket.count(after);
    if ('go' in step) server.stage.go.resolve();
    else socket.send(step.message);
  }
  return [...(await socket.count(script.expect))];
}
