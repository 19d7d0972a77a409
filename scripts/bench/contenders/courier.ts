/** Courier. */
import { serveContender } from '../contender.ts';
import { startCourier } from '../courier.ts';

await serveContender(() => startCourier());
