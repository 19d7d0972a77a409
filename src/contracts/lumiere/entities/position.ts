/** What a strategy holds of a symbol. */
import { z } from 'zod';
import { defineEntity } from '../../../contract/define.ts';
import { decimal, id } from '../../../contract/fields.ts';
import { chevalier } from '../chevalier.ts';
import { symbol } from '../fields.ts';
import { isZero } from './decimals.ts';
import { instant } from './fields.ts';

const state = z.strictObject({
  symbol,
  strategy_id: id.optional(),
  quantity: decimal.describe('Held now; negative when short.'),
  average_price: decimal,
  unrealized_pnl: decimal.optional(),
  realized_pnl: decimal.optional(),
  changed_at: instant,
});

export const position = defineEntity({
  description: 'What a strategy holds of a symbol.',
  of: [chevalier],
  types: ['position.updated'],
  key: ['strategy_id', 'symbol'],
  state,
  open: ({ quantity }) => !isZero(quantity),
  reduce: (_before, { data, metadata: { timestamp: changed_at } }) => ({ ...data, changed_at }),
});
