/**
 * Everything in this process that reads JSON reads the keys that were written, libraries included: tRPC's reading of HTTP
 * bodies and of its link, the drivers of PostgreSQL and Redis. See `contract/json-text.ts`; both go when V8 is mended.
 */
import { parseJson } from '../contract/json-text.ts';

const nativeParse = JSON.parse;

JSON.parse = (text, reviver) => (reviver === undefined ? parseJson(String(text)) : nativeParse(text, reviver));
