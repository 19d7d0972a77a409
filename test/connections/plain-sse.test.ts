import { describeTransport } from '../contracts/transport.ts';
import { plainSse } from '../helpers/transports.ts';

describeTransport(plainSse);
