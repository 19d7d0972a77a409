/** `courier state --watch`: a table that stays where it is on a terminal; elsewhere, and with --json, a line for each change. */

import { httpClient, webSocketClient } from './connection.ts';
import { CliError, EXIT } from './errors.ts';
import type { Line } from './line.ts';
import { print, tell } from './output.ts';
import { PacedSubscription } from './paced.ts';
import { Screen } from './screen.ts';
import { type StateOptions, selectionOf } from './state.ts';
import { changeLine, stateLines } from './state-table.ts';
import { type StateItem, WatchedState } from './watched-state.ts';

/** How often a table is drawn, and a change of one thing is told for it, in a second, at most. */
const DRAWN_PER_SECOND = 4;

type Notice =
  | { readonly type: 'state.ready'; readonly data: { readonly position: string; readonly items: number } }
  | { readonly type: 'state.reset'; readonly data: { readonly reason: string; readonly requested: string } };

/** What shows what comes. */
interface View {
  /** A change of one thing, or that it is not among what was asked for any more. */
  changed(item: StateItem): void;
  noticed(notice: Notice, isFirst: boolean): void;
  lost(reason: string): void;
  end(): void;
}

export async function watchState(channels: string, entities: readonly string[], options: StateOptions): Promise<void> {
  // A refusal reads better as an answer than as a closed connection.
  await (await httpClient(options)).auth.whoami.query();
  const selection = await selectionOf(channels, entities, options);
  const ended = Promise.withResolvers<void>();
  process.once('SIGINT', () => ended.resolve());
  process.once('SIGTERM', () => ended.resolve());
  const watched = new WatchedState();
  const isDrawn = process.stdout.isTTY && !options.json;
  const view = isDrawn ? table(watched) : lines(options);
  await using client = await webSocketClient(options);
  let isLost = false;
  client.connection.subscribe((connection) => {
    if (connection.status === 'refused')
      ended.reject(new CliError(`the gateway refuses the token: ${connection.error.message}`, EXIT.refused));
    if (connection.status === 'connecting' && connection.error !== undefined && !isLost) view.lost(connection.error.message);
    isLost = connection.status === 'connecting';
  });
  const input = { ...selection, ...(isDrawn && { max_per_second: DRAWN_PER_SECOND }) };
  const subscription = new PacedSubscription({
    subscribe: (lastEventId, onComplete) =>
      client.trpc.state.watch.subscribe(
        { ...input, lastEventId },
        {
          onData: ({ id, data }) => {
            take(watched, view, data as StateItem | Notice);
            // While it is given from its beginning nothing could go on; that is no more than is kept here.
            if (watched.isComplete) subscription.took(id);
          },
          onError: (error) => ended.reject(error),
          onComplete,
        },
      ),
    onComplete: () => ended.resolve(),
  });
  try {
    await ended.promise;
  } finally {
    subscription.unsubscribe();
    view.end();
  }
}

function take(watched: WatchedState, view: View, data: StateItem | Notice): void {
  if (!('type' in data) || data.type === undefined) {
    if (watched.take(data as StateItem)) view.changed(data as StateItem);
    return;
  }
  const isFirst = !watched.isComplete;
  if (data.type === 'state.reset') watched.begin();
  else for (const dropped of watched.complete()) view.changed({ ...dropped, open: false, state: null });
  view.noticed(data, isFirst);
}

function lines({ json }: StateOptions): View {
  return {
    changed: (item) => void print(json ? JSON.stringify(item) : changeLine(item)),
    noticed: (notice, isFirst) => {
      if (json) void print(JSON.stringify(notice));
      // Told again, it only moves the position.
      else if (notice.type === 'state.reset' || isFirst) tell({ style: 'dim', text: noticeText(notice) });
    },
    lost: (reason) => tell({ style: 'yellow', text: lostText(reason) }),
    end: () => undefined,
  };
}

function noticeText({ type, data }: Notice): string {
  if (type === 'state.ready') return `complete at ${data.position}, ${data.items} items; changes follow`;
  return `reset (${data.reason}): what was known at ${data.requested} is of no use; everything follows`;
}

function lostText(reason: string): string {
  return `connection lost, trying again: ${reason}`;
}

function table(watched: WatchedState): View {
  let below: Line = { style: 'dim', text: 'reading' };
  const { stdout } = process;
  const screen = new Screen(stdout, 1000 / DRAWN_PER_SECOND, () => {
    const { columns, rows } = stdout;
    const { items } = watched;
    return [...(items.length === 0 ? ['none'] : stateLines(items, { columns, rows: rows - 2 })), below];
  });
  return {
    changed: () => screen.draw(),
    noticed: ({ type, data }) => {
      below = { style: 'dim', text: type === 'state.ready' ? `live since ${data.position}; Ctrl-C ends it` : `read anew (${data.reason})` };
      screen.draw();
    },
    lost: (reason) => {
      below = { style: 'yellow', text: lostText(reason) };
      screen.draw();
    },
    end: () => screen.end(),
  };
}
