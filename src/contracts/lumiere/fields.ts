/** Fields that events of several services share. */
import { z } from 'zod';

export const symbol = z.string().min(1).max(32).describe('Ticker symbol.');
export const side = z.enum(['buy', 'sell']).describe('Side of the order.');
