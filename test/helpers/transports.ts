/** The ways of being connected for long, as raw clients: what each sends to subscribe, and how it is spoken to. */

import type { Transport } from '../../src/contract/admin.ts';
import { meaningOf } from '../../src/contract/codes.ts';
import { type Goodbye, type HeardEvent, Peer, type PeerOptions, type ReadMessage, textFrame } from './peer.ts';

/** What a client asks for. */
export interface Ask {
  /** Absent: it says nothing of who it is. */
  readonly token?: string | undefined;
  readonly channels?: string;
  readonly lastEventId?: string;
  readonly from?: 'earliest';
  readonly types?: string;
  /** Instead of events the state of these entities, and which of it. */
  readonly state?: WatchAsk;
  readonly headers?: Readonly<Record<string, string>>;
  readonly answersPings?: boolean;
}

/** As a call of `state.watch` says it. */
export interface WatchAsk {
  readonly entities: readonly string[];
  readonly keys?: readonly string[];
  readonly open?: boolean;
  readonly where?: Readonly<Record<string, string | readonly string[]>>;
  readonly max_per_second?: number;
}

export interface TransportDriver {
  readonly name: string;
  readonly transport: Transport;
  readonly isWebSocket: boolean;
  /** Where its requests go, and what is in each of them. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Connects, and subscribes at once. */
  subscribe(port: number, ask: Ask): Peer;
}

/** What a request has to say to become a WebSocket. */
export const UPGRADE = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
};

type Fields = Pick<PeerOptions, 'target' | 'behind'>;

function driver(
  about: Pick<TransportDriver, 'name' | 'transport' | 'path'>,
  { read, ask }: { readonly read: ReadMessage; readonly ask: (asked: Ask) => Fields },
): TransportDriver {
  const isWebSocket = about.transport !== 'sse';
  // An answer that is no stream ends too.
  const headers = isWebSocket ? UPGRADE : { connection: 'close' };
  return {
    ...about,
    isWebSocket,
    headers,
    subscribe: (port, asked) =>
      new Peer({ ...ask(asked), port, read, answersPings: asked.answersPings ?? false, headers: { ...headers, ...asked.headers } }),
  };
}

const plainTarget = (prefix: string, { token, channels = '**', lastEventId, from, types, state }: Ask) =>
  `${prefix}${channels}?${new URLSearchParams({
    ...(token !== undefined && { token }),
    ...(lastEventId !== undefined && { last_event_id: lastEventId }),
    ...(from !== undefined && { from }),
    ...(types !== undefined && { types }),
    ...(state !== undefined && plainWatch(state)),
  })}`;

const plainWatch = ({ entities, keys, open, where, max_per_second }: WatchAsk): Record<string, string> => ({
  state: entities.join(),
  ...(keys !== undefined && { key: keys.join() }),
  ...(open !== undefined && { open: String(open) }),
  ...(max_per_second !== undefined && { max_per_second: String(max_per_second) }),
  ...Object.fromEntries(Object.entries(where ?? {}).map(([path, values]) => [path, String(values)])),
});

const subscribeInput = ({ channels = '**', lastEventId, from, types, state }: Ask) => ({
  json: { channels: channels.split(','), types: types?.split(','), lastEventId, from, ...state },
});
const procedureOf = ({ state }: Ask) => (state === undefined ? 'events.subscribe' : 'state.watch');

export const plainWebSocket = driver(
  { name: 'plain WebSocket', transport: 'plain', path: '/ws/' },
  { read: ({ text }) => ({ event: JSON.parse(text) as HeardEvent }), ask: (asked) => ({ target: plainTarget('/ws/', asked) }) },
);

export const plainSse = driver(
  { name: 'plain server-sent events', transport: 'sse', path: '/sse/' },
  {
    ask: (asked) => ({ target: plainTarget('/sse/', asked) }),
    read: ({ name, text }) =>
      name === 'courier.closed' ? { goodbye: JSON.parse(text) as Goodbye } : { event: JSON.parse(text) as HeardEvent },
  },
);

interface TrpcError {
  readonly json: { readonly message: string; readonly data: { readonly code: string } };
}

export const trpcWebSocket = driver(
  { name: 'tRPC over WebSocket', transport: 'trpc', path: '/trpc' },
  {
    ask: (asked) => ({
      target: '/trpc?connectionParams=1',
      behind: [
        textFrame({ method: 'connectionParams', data: { token: asked.token } }),
        textFrame({ id: 'events', method: 'subscription', params: { path: procedureOf(asked), input: subscribeInput(asked) } }),
      ],
    }),
    read: ({ text }) => {
      if (!text.startsWith('{')) return {};
      const { result } = JSON.parse(text) as { result?: { data?: { json: { data?: HeardEvent } } } };
      return { event: result?.data?.json.data };
    },
  },
);

export const trpcSse = driver(
  { name: 'tRPC over server-sent events', transport: 'sse', path: '/trpc/events.subscribe' },
  {
    ask: (asked) => {
      const query = new URLSearchParams({ input: JSON.stringify(subscribeInput(asked)) });
      if (asked.token !== undefined) query.set('connectionParams', JSON.stringify({ token: asked.token }));
      return { target: `/trpc/${procedureOf(asked)}?${query}` };
    },
    read: ({ name, text }) => {
      if (name === 'connected' || name === 'ping') return {};
      if (name !== 'serialized-error') return { event: (JSON.parse(text) as { json: HeardEvent }).json };
      const { message, data } = (JSON.parse(text) as TrpcError).json;
      return { goodbye: { code: meaningOf(data.code).close, reason: message } };
    },
  },
);

export const TRANSPORTS: readonly TransportDriver[] = [trpcWebSocket, plainWebSocket, trpcSse, plainSse];
