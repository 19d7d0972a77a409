/** The end of the checked research: what came of it, and whether everything that was published was delivered once, in order. */
import type { CourierEvent } from '@lumiere/courier-client';
import { type Line, rendered } from '../cli/line.ts';

export interface Research {
  /** What each of its events carries. */
  readonly correlationId: string;
  /** Events that publishers were told are stored. */
  readonly published: number;
  readonly delivered: readonly CourierEvent[];
  /** The whole log. */
  readonly stored: readonly CourierEvent[];
}

/** Prints it; false when anything was lost, repeated, out of order or part of something else. */
export function summarise({ correlationId, published, delivered, stored }: Research): boolean {
  show();
  show({ style: 'bold', text: 'strategy      return  drawdown  sharpe  trades  won' });
  for (const event of delivered) {
    if (event.type !== 'backtest.completed') continue;
    const { total_return, max_drawdown, sharpe_ratio = 0, trades, win_rate = 0 } = event.data.metrics;
    const cells = [percent(total_return).padStart(8), percent(max_drawdown).padStart(8), sharpe_ratio.toFixed(2).padStart(7)];
    show(`${String(event.data.strategy_id).padEnd(11)} ${cells.join('  ')} ${String(trades).padStart(7)} ${percent(win_rate).padStart(6)}`);
  }
  for (const event of delivered) {
    if ('code' in event.data) show(`${event.channel}: ${event.type}: ${event.data.message}`);
    if (event.type === 'forge.job.completed') show(`winner by Sharpe ratio: ${String(event.data.result?.['winner'])}`);
  }
  const received = new Set(delivered.map(({ id }) => id));
  const lost = stored.filter(({ id }) => !received.has(id)).length;
  const duplicated = delivered.length - received.size;
  const ordered = delivered.every(({ id }, index) => id === stored[index]?.id);
  const oneChain = stored.every(({ metadata }) => metadata.correlation_id === correlationId);
  const ok = lost === 0 && duplicated === 0 && ordered && oneChain && stored.length === published;
  const figures = `published ${published}, stored ${stored.length}, delivered ${delivered.length}, lost ${lost}, duplicated ${duplicated}`;
  show();
  show([{ style: ok ? 'green' : 'red', text: figures }, ordered ? ', in the order of the log' : ', OUT OF ORDER']);
  return ok;
}

function show(line: Line = ''): void {
  console.log(rendered(line));
}

function percent(fraction: number): string {
  return `${(fraction * 100).toFixed(1)}%`;
}
