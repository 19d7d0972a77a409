/** The end of the checked research: what is held and what became of the orders, and whether that is what the events make. */
import { checkState } from '../check-state/check.js';
import { rendered } from '../cli/line.ts';
import { stateLines } from '../cli/state-table.ts';
import type { StateItem } from '../cli/watched-state.ts';

/** What is shown of each entity: as many rows as tell what it is. */
const SHOWN: Readonly<Record<string, number>> = { position: 3, order: 4 };
/** Differences that are told, at most. */
const MAX_TOLD = 5;

export interface Gateway {
  readonly url: string;
  /** One that may read everything. */
  readonly token: string;
}

/** Prints positions and orders, and how many things are as the events make them; false when one is not. */
export async function summariseState({ url, token }: Gateway): Promise<boolean> {
  const { things, compared, differences } = await checkState(url, token);
  const items = [...things].map(([name, thing]): StateItem => {
    const [channel, entity, key] = JSON.parse(name);
    return { channel, entity, key, ...thing };
  });
  for (const [entity, rows] of Object.entries(SHOWN)) {
    const all = items.filter((item) => item.entity === entity);
    console.log(`\n${rendered({ style: 'bold', text: `${entity}s: ${all.length}` })}`);
    for (const line of stateLines(all, { rows: rows + 2, columns: process.stdout.columns })) console.log(rendered(line));
  }
  const style = differences.length === 0 ? 'green' : 'red';
  console.log(
    `\n${rendered({ style, text: `things in the state ${things.size}, made of the events anew ${compared}, differences ${differences.length}` })}`,
  );
  for (const difference of differences.slice(0, MAX_TOLD)) console.log(rendered(`  ${difference}`));
  return differences.length === 0;
}
