/** `courier history`, `courier stats`, `courier health`: what the gateway has and how it is. */
import { setTimeout as sleep } from 'node:timers/promises';
import { TRPCClientError } from '@trpc/client';
import type { EventType } from '../../src/contracts/lumiere/contract.ts';
import { type ConnectionOptions, getJson, httpClient } from './connection.ts';
import { CliError } from './errors.ts';
import { eventLine } from './format.ts';
import { print, tell } from './output.ts';
import { fieldLines } from './table.ts';

export interface HistoryOptions extends ConnectionOptions {
  readonly newest?: boolean | undefined;
  readonly after?: string | undefined;
  readonly before?: string | undefined;
  readonly limit?: number | undefined;
  readonly types?: EventType[] | undefined;
  readonly all?: boolean | undefined;
  readonly json?: boolean | undefined;
}

export async function history(patterns: readonly string[], options: HistoryOptions): Promise<void> {
  const trpc = await httpClient(options);
  const { newest, types, limit } = options;
  let { after, before } = options;
  for (;;) {
    const from = { order: newest ? 'newest' : 'oldest', after, before } as const;
    const page = await trpc.events.history.query({ channels: [...patterns], ...from, types, limit }).catch(async (error: unknown) => {
      const pauseMs = options.all ? pauseOf(error) : undefined;
      if (pauseMs === undefined) throw error;
      await sleep(pauseMs);
    });
    if (page === undefined) continue;
    if (page.gap !== null) {
      const { reason, requested, resumed_from } = page.gap;
      if (reason === 'unreadable') tell(`gap (${reason}): events after ${requested}, up to ${resumed_from}, have no present form`);
      else if (newest) tell(`gap (${reason}): the log has no ${requested}; beginning at its head, ${resumed_from}`);
      else tell(`gap (${reason}): events after ${requested} are missing; going on after ${resumed_from}`);
    }
    for (const event of page.events) await print(options.json ? JSON.stringify(event) : eventLine(event));
    if (newest) before = page.next;
    else after = page.next;
    if (page.has_more && options.all) continue;
    if (page.has_more) tell({ style: 'dim', text: `there is more: ${newest ? '--before' : '--after'} ${page.next}, or --all` });
    return;
  }
}

/** How long a limit asks to wait, in ms; undefined for another error. */
function pauseOf(error: unknown): number | undefined {
  const data = error instanceof TRPCClientError ? (error.data as { code?: string; retryAfterMs?: number } | null) : null;
  return data?.code === 'TOO_MANY_REQUESTS' ? data.retryAfterMs : undefined;
}

export async function stats(options: ConnectionOptions & { readonly json?: boolean | undefined }): Promise<void> {
  const { ok, body } = await getJson(options, '/stats');
  if (!ok) throw new CliError(String(body['detail']));
  for (const line of options.json ? [JSON.stringify(body)] : fieldLines(body)) await print(line);
}

export async function health(options: ConnectionOptions & { readonly json?: boolean | undefined }): Promise<void> {
  const { ok, body } = await getJson(options, '/health');
  for (const line of options.json ? [JSON.stringify(body)] : fieldLines(body)) await print(line);
  if (!ok) throw new CliError(`the gateway is ${String(body['status'])}`);
}
