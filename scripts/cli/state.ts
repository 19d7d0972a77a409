/** `courier state`: what things are now, as the events made them; and `courier state rebuild`. */
import { courier } from '../../src/commands.ts';
import { conditionsFor, type Where } from './conditions.ts';
import { type ConnectionOptions, httpClient } from './connection.ts';
import { CliError } from './errors.ts';
import { entitiesOfGateway } from './meant.ts';
import { print, tell } from './output.ts';
import { Persistence } from './persistence.ts';
import { stateLines } from './state-table.ts';
import { itemName, type StateItem } from './watched-state.ts';

type Scalar = string | number | boolean;
export interface StateOptions extends ConnectionOptions {
  readonly open?: boolean | undefined;
  readonly closed?: boolean | undefined;
  /** As it was given, each time. */
  readonly key?: readonly string[] | undefined;
  readonly where?: Where | undefined;
  /** Items in a page. */
  readonly limit?: number | undefined;
  readonly all?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/** What is asked for, as the gateway takes it. */
export interface Selection {
  channels: string[];
  entities: never[];
  keys: string[] | undefined;
  open: boolean | undefined;
  where: Record<string, Scalar | Scalar[]> | undefined;
}

/** @param entities all of the gateway's contract where none is named. @throws {CliError} when it has none. */
export async function selectionOf(channels: string, entities: readonly string[], options: StateOptions): Promise<Selection> {
  const { url, open, closed, key, where } = options;
  const known = entities.length > 0 && where === undefined ? {} : await entitiesOfGateway(url);
  const named = entities.length > 0 ? entities : Object.keys(known);
  if (named.length === 0) throw new CliError('the contract of the gateway has no entities, of which it would keep a state');
  return {
    channels: channels.split(','),
    // The gateway knows which there are.
    entities: named as never[],
    keys: key && keysIn(key),
    open: open ? true : closed ? false : undefined,
    where:
      where &&
      conditionsFor(
        where,
        named.map((name) => known[name] ?? {}),
      ),
  };
}

/** Given once it is a list; a key may have commas, which only another way of giving several leaves to it. */
function keysIn(given: readonly string[]): string[] {
  return given.length === 1 ? (given[0] as string).split(',') : [...given];
}

export async function state(channels: string, entities: readonly string[], options: StateOptions): Promise<void> {
  const trpc = await httpClient(options);
  const selection = await selectionOf(channels, entities, options);
  const persistence = new Persistence({ onWait: (reason) => tell({ style: 'yellow', text: `trying again: ${reason}` }) });
  const items = new Map<string, StateItem>();
  for (let after: string | undefined; ; ) {
    const read = () => trpc.state.get.query({ ...selection, after, limit: options.limit });
    const page = await (options.all ? persistence.run(read) : read());
    // The state was made anew between two pages.
    if (page.reset !== null) items.clear();
    for (const item of page.items as readonly StateItem[]) {
      // What changed between two pages is given again.
      items.delete(itemName(item));
      if (item.state !== null) items.set(itemName(item), item);
    }
    after = page.next;
    if (page.has_more && options.all) continue;
    await printItems([...items.values()], options);
    if (items.size === 0) tell('none');
    if (page.has_more) tell({ style: 'dim', text: 'there is more: --all' });
    return;
  }
}

async function printItems(items: readonly StateItem[], { json }: StateOptions): Promise<void> {
  const lines = json ? items.map((item) => JSON.stringify(item)) : stateLines(items, { columns: process.stdout.columns });
  for (const line of lines) await print(line);
}

/** Has an entity's states made anew. */
export async function rebuildState(entity: string, options: ConnectionOptions & { readonly json?: boolean | undefined }): Promise<void> {
  const trpc = await httpClient(options);
  const made = await trpc.admin.rebuildState.mutate({ entity });
  const progress = courier('health');
  await print(options.json ? JSON.stringify(made) : `${entity} is being made anew of the log; until then what is there is served`);
  if (!options.json) tell({ style: 'dim', text: `how far that is: \`${progress}\` or GET /health` });
}
