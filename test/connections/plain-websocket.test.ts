import { describeTransport } from '../contracts/transport.ts';
import { plainWebSocket } from '../helpers/transports.ts';

describeTransport(plainWebSocket);
