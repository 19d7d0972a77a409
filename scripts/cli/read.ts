/** `courier history`, `courier stats`, `courier health`: what the gateway has and how it is. */
import type { EventType } from '../../src/contracts/lumiere/contract.ts';
import { type ConnectionOptions, getJson, httpClient } from './connection.ts';
import { CliError } from './errors.ts';
import { eventLine } from './format.ts';
import { print, tell } from './output.ts';
import { Persistence } from './persistence.ts';
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
  let shown = 0;
  const persistence = new Persistence({ onWait: (reason) => tell({ style: 'yellow', text: `trying again: ${reason}` }) });
  const read = () => {
    const from = { order: newest ? 'newest' : 'oldest', after, before } as const;
    return trpc.events.history.query({ channels: [...patterns], ...from, types, limit });
  };
  for (;;) {
    const page = await (options.all ? persistence.run(read) : read()).catch((error: unknown) => {
      const position = newest ? before : after;
      if (shown > 0) tell(`${shown} events shown; to go on: ${newest ? '--before' : '--after'} ${position}`);
      throw error;
    });
    if (page.gap !== null) {
      const { reason, requested, resumed_from } = page.gap;
      if (reason === 'unreadable') tell(`gap (${reason}): events after ${requested}, up to ${resumed_from}, have no present form`);
      else if (newest) tell(`gap (${reason}): the log has no ${requested}; beginning at its head, ${resumed_from}`);
      else tell(`gap (${reason}): events after ${requested} are missing; going on after ${resumed_from}`);
    }
    for (const event of page.events) await print(options.json ? JSON.stringify(event) : eventLine(event));
    shown += page.events.length;
    if (newest) before = page.next;
    else after = page.next;
    if (page.has_more && options.all) continue;
    if (shown === 0 && page.gap === null) tell('none');
    if (page.has_more) tell({ style: 'dim', text: `there is more: ${newest ? '--before' : '--after'} ${page.next}, or --all` });
    return;
  }
}

export async function stats(options: ConnectionOptions & { readonly json?: boolean | undefined }): Promise<void> {
  const { ok, body } = await getJson(options, '/stats');
  if (!ok) throw new CliError(String(body['detail']));
  await printReport(body, options);
}

export async function health(options: ConnectionOptions & { readonly json?: boolean | undefined }): Promise<void> {
  const { ok, body } = await getJson(options, '/health');
  await printReport(body, options);
  if (!ok) throw new CliError(`the gateway is ${String(body['status'])}`);
}

/** For people with the unit of the one field that has none in its name. */
async function printReport(body: Record<string, unknown>, { json }: { readonly json?: boolean | undefined }): Promise<void> {
  const { uptime } = body;
  const lines = json ? [JSON.stringify(body)] : fieldLines(typeof uptime === 'number' ? { ...body, uptime: `${uptime} s` } : body);
  for (const line of lines) await print(line);
}
