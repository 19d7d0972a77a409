/**
 * Everything in this process that reads JSON without a reviver reads the keys that were written, libraries that are loaded
 * after this included: tRPC reads HTTP bodies by itself. See `contract/json-text.ts`; both go when V8 is mended.
 */
import { parseJson } from '../contract/json-text.ts';

const nativeParse = JSON.parse;

JSON.parse = (text, reviver) => (reviver === undefined ? parseJson(String(text)) : nativeParse(text, reviver));
