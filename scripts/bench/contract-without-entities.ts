/** Lumiere's contract without its entities: what publishing costs where no state is kept. */
import { defineContract } from '../../src/contract/define.ts';
import { families } from '../../src/contracts/lumiere/families.ts';
import * as services from '../../src/contracts/lumiere/services.ts';

export const contract = defineContract({ name: 'lumiere', families, services });
export default contract;
