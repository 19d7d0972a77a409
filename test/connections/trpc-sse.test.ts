import { describeTransport } from '../contracts/transport.ts';
import { trpcSse } from '../helpers/transports.ts';

describeTransport(trpcSse);
