/** Events of a trade that nobody planned: placed twice, filled after they were cancelled, cancelled when they are filled, on many channels. */
import { pick as pickWith, randomFrom, upTo } from '../../scripts/fuzz/random.ts';
import type { EventDraft } from '../helpers/lumiere.ts';

const SYMBOLS = ['SPX', 'NDX', 'BTC/USD', 'DAX%'];
const FAILURES = [
  { code: 'no_data', message: 'no bars' },
  { code: 'lost', message: 'it was lost', retryable: true },
];

/** @param things how many there are of each kind. */
export function trading(seed: number, things: number): () => EventDraft {
  const next = randomFrom(seed);
  const pick = <T>(from: readonly T[]): T => pickWith(next, from);
  const some = () => upTo(next, things);
  const decimal = (most: number) =>
    pick([String(1 + Math.floor(next() * most)), `${Math.floor(next() * most)}.${1 + Math.floor(next() * 98)}`]);
  const maybe = <T extends object>(value: T): T | undefined => (next() < 0.5 ? value : undefined);
  const strategyOf = () => `s${some() % Math.max(1, Math.floor(things / 10))}`;
  const onStrategy = (id: string) => (next() < 0.9 ? (`strategy.${id}` as const) : pick(['global', 'user.ada'] as const));

  const order = (): EventDraft => {
    const order_id = `o${some()}`;
    const channel = onStrategy(strategyOf());
    const about = { order_id, symbol: pick(SYMBOLS), side: pick(['buy', 'sell'] as const) };
    const kind = next();
    if (kind < 0.4)
      return {
        type: 'order.placed',
        channel,
        data: { ...about, order_type: 'limit', quantity: decimal(9), ...maybe({ limit_price: decimal(99) }) },
      };
    if (kind < 0.8)
      return {
        type: 'order.filled',
        channel,
        data: { ...about, quantity: decimal(3), price: decimal(99), ...maybe({ remaining_quantity: pick(['0', '0.0', decimal(5)]) }) },
      };
    return { type: 'order.cancelled', channel, data: { order_id, reason: 'expired', ...maybe({ symbol: about.symbol }) } };
  };
  const position = (): EventDraft => {
    const id = strategyOf();
    const channel = onStrategy(id);
    const quantity = pick(['0', `-${decimal(9)}`, decimal(9)]);
    return {
      type: 'position.updated',
      channel,
      data: { symbol: pick(SYMBOLS), quantity, average_price: decimal(99), ...maybe({ strategy_id: id }) },
    };
  };
  const backtest = (): EventDraft => {
    const backtest_id = `b${some()}`;
    const id = strategyOf();
    const channel = next() < 0.5 ? (`backtest.${backtest_id}` as const) : onStrategy(id);
    const kind = next();
    if (kind < 0.3)
      return { type: 'backtest.started', channel, data: { backtest_id, ...maybe({ strategy_id: id }), ...maybe({ symbol: 'SPX' }) } };
    if (kind < 0.7)
      return { type: 'backtest.progress', channel, data: { backtest_id, progress: next(), ...maybe({ message: 'on its way' }) } };
    if (kind < 0.9)
      return {
        type: 'backtest.completed',
        channel,
        data: { backtest_id, metrics: { total_return: next(), max_drawdown: next(), trades: some() }, ...maybe({ strategy_id: id }) },
      };
    return { type: 'backtest.failed', channel, data: { backtest_id, ...pick(FAILURES) } };
  };
  const strategy = (): EventDraft => {
    const strategy_id = strategyOf();
    const channel = onStrategy(strategy_id);
    const kind = next();
    if (kind < 0.3)
      return { type: 'strategy.generation.started', channel, data: { strategy_id, ...maybe({ parameters: { fast: some() } }) } };
    if (kind < 0.6)
      return { type: 'strategy.generation.progress', channel, data: { strategy_id, progress: next(), ...maybe({ stage: 'search' }) } };
    if (kind < 0.9) return { type: 'strategy.generation.completed', channel, data: { strategy_id, ...maybe({ score: next() }) } };
    return { type: 'strategy.generation.failed', channel, data: { strategy_id, ...pick(FAILURES) } };
  };
  const job = (): EventDraft => {
    const job_id = `j${some()}`;
    const channel = next() < 0.8 ? (`forge.job.${job_id}` as const) : 'global';
    const kind = next();
    if (kind < 0.3) return { type: 'forge.job.started', channel, data: { job_id, kind: 'k' } };
    if (kind < 0.7) return { type: 'forge.job.progress', channel, data: { job_id, progress: next(), ...maybe({ step: 'half' }) } };
    if (kind < 0.9) return { type: 'forge.job.completed', channel, data: { job_id, ...maybe({ result: { winner: 's1' } }) } };
    return { type: 'forge.job.failed', channel, data: { job_id, ...pick(FAILURES) } };
  };
  return () => pick([order, order, order, position, backtest, strategy, job])();
}
