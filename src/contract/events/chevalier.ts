/** Events of Chevalier, which executes trades. They go to `strategy.{id}`. */
import { z } from 'zod';
import { decimal, id, positiveDecimal, side, symbol, text } from '../fields.ts';

export const chevalierEvents = {
  'trade.executed': z.strictObject({
    trade_id: id,
    order_id: id,
    symbol,
    side,
    quantity: positiveDecimal,
    price: positiveDecimal,
    fee: decimal.optional(),
    strategy_id: id.optional(),
  }),
  'order.placed': z.strictObject({
    order_id: id,
    symbol,
    side,
    order_type: z.enum(['market', 'limit', 'stop']),
    quantity: positiveDecimal,
    limit_price: positiveDecimal.optional(),
    strategy_id: id.optional(),
  }),
  'order.filled': z.strictObject({
    order_id: id,
    symbol,
    side,
    quantity: positiveDecimal,
    price: positiveDecimal,
    remaining_quantity: decimal.optional().describe('What is still to be filled; absent or 0 when nothing is.'),
  }),
  'order.cancelled': z.strictObject({ order_id: id, reason: text, symbol: symbol.optional() }),
  'position.updated': z.strictObject({
    symbol,
    quantity: decimal.describe('Held now; negative when short.'),
    average_price: decimal,
    unrealized_pnl: decimal.optional(),
    realized_pnl: decimal.optional(),
    strategy_id: id.optional(),
  }),
};
