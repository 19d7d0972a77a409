/** A broker over Redis' publish and subscribe: one message for each commit, with its events where they are not too large. */
import { familyIn } from '../contract/channels.ts';
import type { StoredEvent } from '../log/log.ts';
import type { RedisConnection } from '../redis/connection.ts';
import type { Broker, BrokerListener } from './broker.ts';

/** UTF-16 units of the bodies in one message, at most; of a larger commit a hint is sent. */
const MAX_BODY_UNITS = 1024 * 1024;
const CHANNEL = 'events';

/** Names are short, as they are sent with every commit. */
interface Message {
  /** The instance that sends it. */
  readonly from: string;
  /** The epoch that the numbers are of. */
  readonly epoch: string;
  /** Absent in a hint. */
  readonly events?: readonly (readonly [seq: number, channel: string, type: string, body: string, version?: number])[];
}

export interface RedisBrokerOptions {
  /** Names this one among the others. */
  readonly instance: string;
  /** Of its log. */
  readonly epoch: string;
  readonly signal?: AbortSignal;
}

/** @throws why `signal` was aborted. */
export async function redisBroker(redis: RedisConnection, { instance, epoch, signal }: RedisBrokerOptions): Promise<Broker> {
  const listeners = new Set<BrokerListener>();
  const hint = () => {
    for (const listener of listeners) listener.onHint();
  };
  redis.onReconnect(hint);
  const hear = (json: object | undefined) => {
    const message = json as Message | undefined;
    if (message?.from === instance) return;
    const events = message?.epoch === epoch && Array.isArray(message.events) ? message.events.flatMap(received) : undefined;
    if (events === undefined) hint();
    else for (const listener of listeners) listener.onEvents(events);
  };
  await redis.subscribe(CHANNEL, hear, signal);
  return {
    kind: 'redis',
    get problem() {
      return redis.problem;
    },
    ping: async () => {
      // Commands that the manual's rights do not have would fill Redis' own log of refusals.
      await redis.send(['GET', redis.key('probe')]);
    },
    publish: (events) => {
      const units = events.reduce((sum, { body }) => sum + body.length, 0);
      const message: Message = {
        from: instance,
        epoch,
        ...(units <= MAX_BODY_UNITS && {
          events: events.map(({ seq, channel, type, body, version }) => [seq, channel, type, body, version] as const),
        }),
      };
      redis.send(['PUBLISH', redis.key(CHANNEL), JSON.stringify(message)]).catch(() => undefined);
    },
    listen: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    [Symbol.asyncDispose]: () => {
      listeners.clear();
      return Promise.resolve();
    },
  };
}

/** Nothing where the channel is none. Instances of an earlier version tell no version of an event's form: theirs is the first. */
function received([seq, channel, type, body, version = 1]: readonly [number, string, string, string, number?]): StoredEvent[] {
  const family = familyIn(channel);
  return family === undefined ? [] : [{ seq, channel, family, type, version, body }];
}
