import { describeTransport } from '../contracts/transport.ts';
import { trpcWebSocket } from '../helpers/transports.ts';

describeTransport(trpcWebSocket);
