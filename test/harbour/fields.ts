/** Fields that events of several services share. */
import { z } from 'zod';
import { count } from '../../src/contract/fields.ts';

export const draughtCm = count.describe('How deep the keel is in the water, in centimetres.');
export const cargo = z.enum(['containers', 'bulk', 'liquids', 'cars']).describe('What a vessel carries.');
