/** `courier tail`: what is published, as it happens; after a lost connection it goes on where it was. */
import type { EventType } from '../../src/contracts/lumiere/contract.ts';
import { type ConnectionOptions, httpClient, webSocketClient } from './connection.ts';
import { CliError, EXIT } from './errors.ts';
import { eventLine, type PrintedEvent } from './format.ts';
import { print, tell } from './output.ts';
import { PacedSubscription } from './paced.ts';

export interface TailOptions extends ConnectionOptions {
  readonly from?: 'now' | 'earliest' | undefined;
  readonly after?: string | undefined;
  readonly types?: EventType[] | undefined;
  readonly limit?: number | undefined;
  readonly json?: boolean | undefined;
}

export async function tail(patterns: readonly string[], options: TailOptions): Promise<void> {
  // A refusal reads better as an answer than as a closed connection.
  await (await httpClient(options)).auth.whoami.query();
  const ended = Promise.withResolvers<void>();
  process.once('SIGINT', () => ended.resolve());
  process.once('SIGTERM', () => ended.resolve());
  await using client = await webSocketClient(options);
  let isLost = false;
  let isLive = false;
  client.connection.subscribe((state) => {
    if (state.status === 'refused') ended.reject(new CliError(`the gateway refuses the token: ${state.error.message}`, EXIT.refused));
    if (state.status === 'connecting' && state.error !== undefined && !isLost) {
      tell({ style: 'yellow', text: `connection lost, trying again: ${state.error.message}` });
    }
    isLost = state.status === 'connecting';
    isLive &&= !isLost;
  });
  let events = 0;
  const show = (event: PrintedEvent | Notice) => {
    if (options.limit !== undefined && events >= options.limit) return;
    if (isNotice(event)) {
      if (options.json) void print(JSON.stringify(event));
      // Told again, it only moves the position.
      else if (event.type === 'courier.gap' || !isLive) tell({ style: 'dim', text: noticeText(event) });
      isLive ||= event.type === 'courier.live';
      return;
    }
    void print(options.json ? JSON.stringify(event) : eventLine(event));
    events += 1;
    if (events === options.limit) ended.resolve();
  };
  // Not the client's own subscribe: what `tail` shows are the notices too.
  const { from, types, after } = options;
  const subscription = new PacedSubscription({
    subscribe: (lastEventId, onComplete) =>
      client.trpc.events.subscribe.subscribe(
        { channels: [...patterns], from, types, lastEventId },
        {
          onData: ({ id, data: event }) => {
            show(event);
            subscription.took(id);
          },
          onError: (error) => ended.reject(error),
          onComplete,
        },
      ),
    onComplete: () => ended.resolve(),
    lastEventId: after,
  });
  try {
    await ended.promise;
  } finally {
    subscription.unsubscribe();
  }
}

type Notice =
  | { readonly type: 'courier.gap'; readonly data: { readonly reason: string; readonly requested: string; readonly resumed_from: string } }
  | { readonly type: 'courier.live'; readonly data: { readonly position: string; readonly replayed: number } };

function isNotice(event: PrintedEvent | Notice): event is Notice {
  return event.type === 'courier.gap' || event.type === 'courier.live';
}

function noticeText(notice: Notice): string {
  if (notice.type === 'courier.live') return `live at ${notice.data.position}, after ${notice.data.replayed} events from the log`;
  const { reason, requested, resumed_from } = notice.data;
  return `gap (${reason}): events after ${requested} are missing; going on after ${resumed_from}`;
}
