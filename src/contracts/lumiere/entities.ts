/** What the gateway keeps the state of. */
export { backtest } from './entities/backtest.ts';
export { job } from './entities/job.ts';
export { order } from './entities/order.ts';
export { position } from './entities/position.ts';
export { strategy } from './entities/strategy.ts';
