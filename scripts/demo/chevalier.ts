/** Chevalier replays the trades of the winning strategy as orders, fills, executions and positions. */
import type { EventDraft, EventTypesByService } from '@lumiere/courier-client';
import { readBars } from './bars.ts';
import { backtest, type Parameters, type Trade } from './moving-average.ts';
import { runService } from './service.ts';

type ChevalierDraft = EventDraft<EventTypesByService['chevalier']>;

/** Units bought and sold each time. */
const QUANTITY = '10';
/** Events in one call. */
const BATCH = 100;
const parametersOf = new Map<string, Parameters>();

await runService(async ({ client, count, done }) => {
  await client.subscribe(
    'strategy.*',
    ({ data }) => {
      parametersOf.set(data.strategy_id, data.parameters as unknown as Parameters);
    },
    { types: ['strategy.generation.completed'] },
  ).live;
  await client.subscribe(
    'forge.job.*',
    async ({ data }) => {
      const winner = String(data.result?.['winner']);
      const parameters = parametersOf.get(winner);
      if (parameters === undefined) throw new Error(`nobody told of ${winner}`);
      const drafts = tradesOf(parameters).flatMap((trade, index) => roundTrip(winner, index + 1, trade));
      for (let start = 0; start < drafts.length; start += BATCH) await count(client.publishBatch(drafts.slice(start, start + BATCH)));
      done();
    },
    { types: ['forge.job.completed'] },
  ).live;
});

function tradesOf(parameters: Parameters): readonly Trade[] {
  const run = backtest(readBars(), parameters);
  for (;;) {
    const step = run.next();
    if (step.done) return step.value.trades;
  }
}

function roundTrip(strategyId: string, number: number, { entry, exit }: Trade): ChevalierDraft[] {
  const pnl = ((exit.price - entry.price) * Number(QUANTITY)).toFixed(2);
  return [
    ...order(strategyId, `o${number}-buy`, 'buy', entry, { quantity: QUANTITY, average_price: entry.price.toFixed(2) }),
    ...order(strategyId, `o${number}-sell`, 'sell', exit, { quantity: '0', average_price: '0', realized_pnl: pnl }),
  ];
}

function order(
  strategy_id: string,
  order_id: string,
  side: 'buy' | 'sell',
  at: { date: string; price: number },
  position: { quantity: string; average_price: string; realized_pnl?: string },
): ChevalierDraft[] {
  const channel = `strategy.${strategy_id}` as const;
  const metadata = { timestamp: `${at.date}T14:30:00Z` };
  const filled = { order_id, symbol: 'SPX', side, quantity: QUANTITY, price: at.price.toFixed(2) };
  return [
    {
      type: 'order.placed',
      channel,
      metadata,
      data: { order_id, symbol: 'SPX', side, order_type: 'market', quantity: QUANTITY, strategy_id },
    },
    { type: 'order.filled', channel, metadata, data: { ...filled, remaining_quantity: '0' } },
    { type: 'trade.executed', channel, metadata, data: { ...filled, trade_id: `t-${order_id}`, strategy_id } },
    { type: 'position.updated', channel, metadata, data: { symbol: 'SPX', strategy_id, ...position } },
  ];
}
