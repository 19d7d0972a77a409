/** `courier trace`: the events of one piece of work, as a tree or as JSON. */
import { parsePosition } from '../../src/contract/position.ts';
import { type ConnectionOptions, httpClient } from './connection.ts';
import { print, tell } from './output.ts';
import { Persistence } from './persistence.ts';
import { lacks, type PrintedStep, summary, treeLines } from './trace-tree.ts';

export interface TraceOptions extends ConnectionOptions {
  readonly json?: boolean | undefined;
}

/** @param id of any of its events, or its correlation id. */
export async function trace(id: string, options: TraceOptions): Promise<void> {
  const trpc = await httpClient(options);
  const named = parsePosition(id) === undefined ? { correlation_id: id } : { id };
  const persistence = new Persistence({ onWait: (reason) => tell({ style: 'yellow', text: `trying again: ${reason}` }) });
  const steps: PrintedStep[] = [];
  let count = 0;
  for (let after: string | undefined; ; ) {
    const page = await persistence.run(() => trpc.events.trace.query({ ...named, after }));
    count += page.steps.length;
    if (!options.json) steps.push(...page.steps);
    else for (const step of page.steps) await print(JSON.stringify(step));
    after = page.next;
    if (page.has_more) continue;
    if (count === 0 && page.hidden === 0) tell('none');
    else if (!options.json) await printTree(steps, page);
    else if (lacks(page).length > 0) tell(lacks(page).join('; '));
    return;
  }
}

async function printTree(steps: readonly PrintedStep[], rest: { readonly hidden: number; readonly is_partial: boolean }): Promise<void> {
  for (const line of treeLines(steps, { columns: process.stdout.columns })) await print(line);
  await print(summary(steps, rest));
}
