/** The contract of a port, which has nothing in common with Lumiere's: what is true of both is true of any contract. */
import { defineContract } from '../../src/contract/define.ts';
import { families } from './families.ts';
import * as services from './services.ts';

export const contract = defineContract({ name: 'harbour', families, services });
export default contract;
