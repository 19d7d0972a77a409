/** How a subscriber of each contender says hello, and how it sees that it is subscribed. */
import type { RawSocket } from './raw-socket.ts';

export const CONTENDERS = ['courier', 'stock-trpc', 'socket-io', 'ws-send', 'ws-shared'] as const;
/** To whom one publishes only: what a publish costs that is neither checked nor stored. */
export const PUBLISH_CONTENDERS = ['node-http', 'fastify', 'ws-echo'] as const;
/** `courier-unmetered`, `courier-quiet` and `courier-workers` are compared with Courier alone. */
export type SubscribedName = (typeof CONTENDERS)[number] | 'courier-unmetered' | 'courier-quiet' | 'courier-workers';
export type ContenderName = SubscribedName | (typeof PUBLISH_CONTENDERS)[number];

/** As they are called in tables. */
export const TITLES: Readonly<Record<ContenderName, string>> = {
  courier: 'Courier',
  'courier-unmetered': 'Courier, counting nothing',
  'courier-quiet': 'Courier, logging from warn on',
  'courier-workers': 'Courier, two workers',
  'stock-trpc': 'tRPC, stock adapter',
  'socket-io': 'socket.io 4, rooms',
  'ws-send': 'ws, send per socket',
  'ws-shared': 'ws, shared frames (limit)',
  'node-http': 'node:http, bare (limit)',
  fastify: 'fastify 5',
  'ws-echo': 'ws, bare (limit)',
};

export interface Protocol {
  path(channel: string): string;
  /** Handles what comes before the subscription stands; true when it does. */
  untilReady(channel: string, token: string): (text: string, socket: RawSocket) => boolean;
  /** What to send first. @param index of the subscriber. @param lastEventId where it resumes, of those who can. */
  hello(channel: string, token: string, index: number, lastEventId?: string): string[];
  answer(text: string): string | undefined;
}

const trpc = (ready: string): Protocol => ({
  path: () => '/trpc?connectionParams=1',
  // Clients that have made other calls before: each has an id of its own.
  hello: (channel, token, index, lastEventId) => [
    JSON.stringify({ method: 'connectionParams', data: { token } }),
    JSON.stringify({
      id: index + 1,
      method: 'subscription',
      params: { path: 'events.subscribe', input: { json: { channels: [channel], lastEventId } } },
    }),
  ],
  untilReady: () => (text) => text.includes(ready),
  answer: (text) => (text === 'PING' ? 'PONG' : undefined),
});

const plain: Protocol = {
  path: (channel) => `/${channel}`,
  hello: () => [],
  untilReady: () => (text) => text === 'ready',
  answer: () => undefined,
};

export const PROTOCOLS: Readonly<Record<SubscribedName, Protocol>> = {
  courier: trpc('courier.live'),
  'courier-unmetered': trpc('courier.live'),
  'courier-quiet': trpc('courier.live'),
  'courier-workers': trpc('courier.live'),
  'stock-trpc': trpc('ready'),
  'socket-io': {
    path: () => '/socket.io/?EIO=4&transport=websocket',
    hello: () => [],
    untilReady: (channel) => (text, socket) => {
      if (text.startsWith('0')) socket.send('40');
      else if (text.startsWith('40')) socket.send(`42${JSON.stringify(['join', channel])}`);
      return text.startsWith('42["ready"');
    },
    answer: (text) => (text === '2' ? '3' : undefined),
  },
  'ws-send': plain,
  'ws-shared': plain,
};
