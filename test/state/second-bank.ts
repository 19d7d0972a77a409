/** The bank in its second version, as a gateway's process loads it. */
import { BANKS } from './bank.ts';

export default BANKS.second;
