/**
 * The moving-average crossover: long while the fast average of the closes is above the slow one, else out. What a
 * day's close says is acted on at the next day's open, so nothing looks ahead.
 */
import type { Bar } from './bars.ts';

export interface Parameters {
  /** Windows in bars; `fast` is the shorter. */
  readonly fast: number;
  readonly slow: number;
}

/** One round trip. */
export interface Trade {
  readonly entry: { readonly date: string; readonly price: number };
  readonly exit: { readonly date: string; readonly price: number };
}

export interface Result {
  readonly trades: readonly Trade[];
  readonly metrics: { total_return: number; max_drawdown: number; trades: number; sharpe_ratio: number; win_rate: number };
}

/** Trading days in a year, to annualise with. */
const DAYS_PER_YEAR = 252;

/** Why a strategy cannot be tested. */
export interface Untestable {
  readonly code: string;
  readonly message: string;
}

/** With what a strategy, which may be anybody's, is tested on so many bars; or why it cannot be. */
export function testOf(strategy: Readonly<Record<string, unknown>> | undefined, bars: number): Parameters | Untestable {
  const { fast, slow } = strategy ?? {};
  if (!isWindow(fast) || !isWindow(slow)) return { code: 'no_windows', message: 'its parameters have no windows, fast and slow, in bars' };
  if (slow < bars) return { fast, slow };
  return { code: 'too_few_bars', message: `a window of ${slow} bars needs more than the ${bars} there are` };
}

function isWindow(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

/** Goes through the bars one by one, yielding the index of each as it is done; returns the result. */
export function* backtest(bars: readonly Bar[], { fast, slow }: Parameters): Generator<number, Result> {
  const trades: Trade[] = [];
  const equity: number[] = [];
  let cash = 1;
  let held: { shares: number; entry: Trade['entry'] } | undefined;
  let wanted = false;
  let fastSum = 0;
  let slowSum = 0;
  const sell = (date: string, price: number) => {
    if (held === undefined) return;
    cash = held.shares * price;
    trades.push({ entry: held.entry, exit: { date, price } });
    held = undefined;
  };
  for (const [index, bar] of bars.entries()) {
    if (wanted && held === undefined) held = { shares: cash / bar.open, entry: { date: bar.date, price: bar.open } };
    else if (!wanted) sell(bar.date, bar.open);
    fastSum += bar.close - (bars[index - fast]?.close ?? 0);
    slowSum += bar.close - (bars[index - slow]?.close ?? 0);
    wanted = index >= slow - 1 && fastSum / fast > slowSum / slow;
    equity.push(held === undefined ? cash : held.shares * bar.close);
    yield index;
  }
  const last = bars.at(-1);
  if (last !== undefined) sell(last.date, last.close);
  return { trades, metrics: { ...measure(equity), ...tradeFigures(trades) } };
}

function measure(equity: readonly number[]) {
  let peak = 1;
  let maxDrawdown = 0;
  const returns: number[] = [];
  for (const [index, value] of equity.entries()) {
    peak = Math.max(peak, value);
    maxDrawdown = Math.max(maxDrawdown, 1 - value / peak);
    returns.push(value / (equity[index - 1] ?? 1) - 1);
  }
  const mean = sum(returns) / returns.length;
  const deviation = Math.sqrt(sum(returns.map((value) => (value - mean) ** 2)) / (returns.length - 1));
  return {
    total_return: round((equity.at(-1) ?? 1) - 1),
    max_drawdown: round(maxDrawdown),
    sharpe_ratio: deviation === 0 ? 0 : round((mean / deviation) * Math.sqrt(DAYS_PER_YEAR)),
  };
}

function tradeFigures(trades: readonly Trade[]) {
  const won = trades.filter(({ entry, exit }) => exit.price > entry.price).length;
  return { trades: trades.length, win_rate: trades.length === 0 ? 0 : round(won / trades.length) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
