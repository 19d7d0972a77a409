/** Reads the whole state that a selection has, page by page. */
import type { Calls } from './calls.ts';
import type { EntityName } from './contract.ts';
import type { CallOptions } from './options.ts';
import type { Selection } from './state-selection.ts';
import { type Present, StateTable } from './state-table.ts';

/** Items in a page: as many as the gateway gives at most. */
const PAGE_ITEMS = 1000;

/** `timeoutMs` is for each page. */
export async function readState(
  calls: Calls,
  { entities, ...selection }: Selection,
  { signal: ending, timeoutMs }: CallOptions,
): Promise<readonly Present[]> {
  const { get } = calls.trpc.state;
  // Which entities there are is known to the compiler only.
  const input = { ...selection, entities: [...entities] as EntityName[], limit: PAGE_ITEMS };
  let table = new StateTable();
  for (let after: string | undefined; ; ) {
    const asked = { ...input, ...(after !== undefined && { after }) };
    const page = await calls.attempt('readState', { signal: ending, timeoutMs }, ({ signal }) => get.query(asked, { signal }));
    // What was read before is of an earlier state: the pages begin anew.
    if (page.reset !== null) table = new StateTable();
    for (const item of page.items) table.take(item as Present);
    if (!page.has_more) return table.items;
    after = page.next;
  }
}
