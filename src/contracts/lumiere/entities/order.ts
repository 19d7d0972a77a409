/** What became of an order. */
import { z } from 'zod';
import { defineEntity, type StateOf } from '../../../contract/define.ts';
import { decimal, id } from '../../../contract/fields.ts';
import { chevalier } from '../chevalier.ts';
import { side, symbol } from '../fields.ts';
import { add, isZero, total, without } from './decimals.ts';
import { instant } from './fields.ts';

const state = z.strictObject({
  order_id: id,
  status: z.enum(['open', 'filled', 'cancelled']),
  symbol: symbol.optional(),
  side: side.optional(),
  order_type: z.enum(['market', 'limit', 'stop']).optional(),
  quantity: decimal.optional().describe('What was ordered; absent where nobody said.'),
  limit_price: decimal.optional(),
  strategy_id: id.optional(),
  filled_quantity: total.describe('What was filled so far.'),
  remaining_quantity: total.optional().describe('What is still to be filled; absent where nobody said.'),
  last_price: decimal.optional().describe('Of the last fill.'),
  reason: z.string().optional().describe('Why it was cancelled.'),
  placed_at: instant.optional(),
  changed_at: instant,
});
type Order = StateOf<typeof state>;

export const order = defineEntity({
  description: 'An order, from the time that it was placed until it is filled or cancelled.',
  of: [chevalier],
  types: ['order.placed', 'order.filled', 'order.cancelled'],
  key: ['order_id'],
  state,
  open: ({ status }) => status === 'open',
  reduce: (before: Order | undefined, { type, data, metadata: { timestamp: changed_at } }): Order | undefined => {
    if (type === 'order.placed') {
      // Placed twice is placed once: what was filled stays.
      const filled_quantity = before?.filled_quantity ?? '0';
      const remaining_quantity = without(data.quantity, filled_quantity);
      const isFilled = before?.status === 'filled' || isZero(remaining_quantity);
      return {
        ...before,
        status: isFilled ? 'filled' : (before?.status ?? 'open'),
        ...data,
        filled_quantity,
        remaining_quantity,
        placed_at: changed_at,
        changed_at,
      };
    }
    const { order_id } = data;
    const known: Order = before ?? { order_id, status: 'open', filled_quantity: '0', changed_at };
    if (type === 'order.cancelled') {
      // It crossed the last fill.
      if (known.status === 'filled') return before;
      const { reason, symbol: cancelled = known.symbol } = data;
      return { ...known, ...(cancelled !== undefined && { symbol: cancelled }), status: 'cancelled', reason, changed_at };
    }
    const { symbol: filled, side: filledSide, quantity, price, remaining_quantity = '0' } = data;
    return {
      ...known,
      symbol: filled,
      side: filledSide,
      // A fill may cross its cancelling.
      status: isZero(remaining_quantity) ? 'filled' : known.status,
      filled_quantity: add(known.filled_quantity, quantity),
      remaining_quantity,
      last_price: price,
      changed_at,
    };
  },
});
