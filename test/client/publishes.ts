/** A gateway that stores what is published as a test says, shows what reached it, and never renews a token. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { CONTRACT_HASH } from '../../client/src/index.ts';
import { errorShape, resultText } from '../vectors/trpc-messages.ts';
import type { ScriptedError } from '../vectors/vector.ts';

/** One call that publishes: the `bars_processed` of its events. */
export type Published = readonly (number | undefined)[];

interface Draft {
  readonly channel: string;
  readonly type: string;
  readonly data: { readonly bars_processed?: number };
}

interface Call {
  readonly id: number;
  readonly method: string;
  readonly params: { readonly path: string; readonly input?: { readonly json: Draft | Draft[] } };
}

const IDENTITY = { sub: 'ada', role: 'admin', expires_at: new Date(), expires_in_ms: 3_600_000, contract: CONTRACT_HASH };

/** What becomes of a call: stored, refused with an error, or of each of its events by itself. */
type Outcome = ScriptedError | undefined | readonly (ScriptedError | undefined)[];
/** The call is answered once a promise resolves. */
type Verdict = (published: Published, channels: readonly string[]) => Outcome | Promise<Outcome>;

function isList(outcome: Outcome): outcome is readonly (ScriptedError | undefined)[] {
  return Array.isArray(outcome);
}

export async function gatewayThat(verdict: Verdict) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const calls: Published[] = [];
  const stored: (number | undefined)[] = [];
  const paths: string[] = [];
  const publish = async (drafts: readonly Draft[]): Promise<Outcome> => {
    const published = drafts.map(({ data }) => data.bars_processed);
    calls.push(published);
    const channels = drafts.map(({ channel }) => channel);
    const outcome = await verdict(published, channels);
    if (outcome === undefined || isList(outcome)) stored.push(...published.filter((_, index) => outcome?.[index] === undefined));
    return outcome;
  };
  const answer = async ({ id, params: { path, input } }: Call): Promise<string> => {
    if (path === 'auth.whoami') return resultText(id, IDENTITY);
    if (path === 'auth.refresh') await new Promise(() => undefined);
    paths.push(path);
    const drafts = [input?.json ?? []].flat();
    const outcome = await publish(drafts);
    const error = path === 'events.publish' && isList(outcome) ? outcome[0] : outcome;
    if (error !== undefined && !isList(error)) return JSON.stringify({ id, error: errorShape(error, id, path) });
    const answers = drafts.map(({ channel, type }, index) => {
      const refusal = error?.[index];
      if (refusal === undefined) return { id: 'e1-1', channel, type, timestamp: new Date(), duplicate: false };
      const { code, message = code, issues, retry_after_ms: retryAfterMs, channel: on } = refusal;
      return { error: { code, message, ...(issues && { issues }), ...(retryAfterMs && { retryAfterMs }), ...(on && { channel: on }) } };
    });
    return resultText(id, path === 'events.publish' ? (answers[0] as object) : answers);
  };
  server.on('connection', (ws) => {
    ws.on('message', (data) => {
      const text = String(data);
      if (text === 'PONG') return;
      const messages = [JSON.parse(text)].flat() as Call[];
      for (const call of messages)
        if (call.method === 'mutation' || call.method === 'query') void answer(call).then((sent) => ws.send(sent));
    });
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Every call, in the order in which they came. */
    calls,
    /** The procedures of these calls. */
    paths,
    /** The events that were stored, in their order. */
    stored,
    [Symbol.asyncDispose]: async () => {
      for (const ws of server.clients) ws.terminate();
      server.close();
      await once(server, 'close');
    },
  };
}
