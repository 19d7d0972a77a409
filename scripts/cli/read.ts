/** `courier history`, `courier stats`, `courier health`: what the gateway has and how it is. */
import type { EventType } from '../../src/contract/index.ts';
import { CliError, type ConnectionOptions, getJson, httpClient } from './connection.ts';
import { eventLine, paint } from './format.ts';
import { print, tell } from './output.ts';
import { fieldLines } from './table.ts';

export interface HistoryOptions extends ConnectionOptions {
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
  readonly types?: EventType[] | undefined;
  readonly all?: boolean | undefined;
  readonly json?: boolean | undefined;
}

export async function history(patterns: readonly string[], options: HistoryOptions): Promise<void> {
  const trpc = await httpClient(options);
  let { after } = options;
  for (;;) {
    const page = await trpc.events.history.query({ channels: [...patterns], after, types: options.types, limit: options.limit });
    if (page.gap !== null) {
      const { reason, requested, resumed_from } = page.gap;
      tell(`gap (${reason}): events after ${requested} are missing; going on after ${resumed_from}`);
    }
    for (const event of page.events) await print(options.json ? JSON.stringify(event) : eventLine(event));
    after = page.next;
    if (page.has_more && options.all) continue;
    if (page.has_more) tell(paint('dim', `there is more: --after ${page.next}, or --all`, process.stderr));
    return;
  }
}

export async function stats(options: ConnectionOptions & { readonly json?: boolean | undefined }): Promise<void> {
  const { ok, body } = await getJson(options, '/stats');
  if (!ok) throw new CliError(String(body['detail']));
  await print(options.json ? JSON.stringify(body) : fieldLines(body).join('\n'));
}

export async function health(options: ConnectionOptions & { readonly json?: boolean | undefined }): Promise<void> {
  const { ok, body } = await getJson(options, '/health');
  await print(options.json ? JSON.stringify(body) : fieldLines(body).join('\n'));
  if (!ok) throw new CliError(`the gateway is ${String(body['status'])}`);
}
