/** Chevalier executes trades. */
import { z } from 'zod';
import { defineService } from '../../contract/define.ts';
import { decimal, id, positiveDecimal, text } from '../../contract/fields.ts';
import { side, symbol } from './fields.ts';

export const chevalier = defineService({
  description: 'executes trades',
  events: {
    'trade.executed': {
      on: ['strategy'],
      description: 'A trade was made for an order.',
      data: z.strictObject({
        trade_id: id,
        order_id: id,
        symbol,
        side,
        quantity: positiveDecimal,
        price: positiveDecimal,
        fee: decimal.optional(),
        strategy_id: id.optional(),
      }),
      subject: 'order_id',
      examples: [
        { trade_id: 't1', order_id: 'o1', symbol: 'SPX', side: 'buy', quantity: '1.5', price: '1455.22', fee: '0.1', strategy_id: 's1' },
      ],
    },
    'order.placed': {
      on: ['strategy'],
      description: 'An order was placed.',
      data: z.strictObject({
        order_id: id,
        symbol,
        side,
        order_type: z.enum(['market', 'limit', 'stop']),
        quantity: positiveDecimal,
        limit_price: positiveDecimal.optional(),
        strategy_id: id.optional(),
      }),
      subject: 'order_id',
      examples: [
        { order_id: 'o1', symbol: 'SPX', side: 'buy', order_type: 'limit', quantity: '1.5', limit_price: '1455.22', strategy_id: 's1' },
      ],
    },
    'order.filled': {
      on: ['strategy'],
      description: 'An order was filled, or a part of it.',
      data: z.strictObject({
        order_id: id,
        symbol,
        side,
        quantity: positiveDecimal,
        price: positiveDecimal,
        remaining_quantity: decimal.optional().describe('What is still to be filled; absent or 0 when nothing is.'),
      }),
      subject: 'order_id',
      examples: [{ order_id: 'o1', symbol: 'SPX', side: 'buy', quantity: '1.5', price: '1455.22', remaining_quantity: '0' }],
    },
    'order.cancelled': {
      on: ['strategy'],
      description: 'An order was cancelled.',
      data: z.strictObject({ order_id: id, reason: text, symbol: symbol.optional() }),
      subject: 'order_id',
      examples: [{ order_id: 'o1', reason: 'expired' }],
    },
    'position.updated': {
      on: ['strategy'],
      description: 'What is held of a symbol has changed.',
      data: z.strictObject({
        symbol,
        quantity: decimal.describe('Held now; negative when short.'),
        average_price: decimal,
        unrealized_pnl: decimal.optional(),
        realized_pnl: decimal.optional(),
        strategy_id: id.optional(),
      }),
      subject: 'symbol',
      examples: [{ symbol: 'SPX', quantity: '-1.5', average_price: '1455.22', realized_pnl: '-12.00', strategy_id: 's1' }],
    },
  },
});
