/** Checks the arguments of callers, before the client sends anything. */
import { findFault, isNoJson, MAX_DATA_BYTES } from '../../src/contract/json.ts';
import { CourierError, invalidArgument, messageOf } from './errors.ts';

/** What is wrong with a value; undefined when nothing is. */
type Check = (value: unknown) => string | undefined;

/** The form of each option. An option that is undefined is absent. */
type Checks = Readonly<Record<string, Check>>;

/** @throws {CourierError} INVALID_ARGUMENT, naming the first option that is wrong. */
export function assertOptions(options: unknown, checks: Checks): void {
  if (!isObject(options)) throw invalidArgument('options', `must be an object, and is ${shown(options)}`);
  for (const [name, check] of Object.entries(checks)) {
    const value = options[name];
    if (value !== undefined) assertArgument(name, value, check);
  }
}

/** As `assertOptions`, for an argument that must be there. */
export function assertArgument(name: string, value: unknown, check: Check): void {
  const problem = check(value);
  if (problem !== undefined) throw invalidArgument(name, `${problem}, and is ${shown(value)}`);
}

function must(be: string, isSo: (value: unknown) => boolean): Check {
  return (value) => (isSo(value) ? undefined : `must be ${be}`);
}

/** The time that something may take. */
export const isTime = must('a number of ms from 0 to Infinity', (value) => typeof value === 'number' && value >= 0);
/** How long to wait. */
export const isDelay = must('a finite number of ms, 0 or more', (value) => Number.isFinite(value) && (value as number) >= 0);
export const isCount = must('a whole number, 1 or more', (value) => Number.isSafeInteger(value) && (value as number) >= 1);
export const isNumberOfEvents = must('a number of events', (value) => Number.isSafeInteger(value) && (value as number) >= 0);
export const isText = must('a text', (value) => typeof value === 'string' && value !== '');
export const isTexts = must('a list of texts', (value) => Array.isArray(value) && value.every((each) => typeof each === 'string'));
export const isObjects = must('a list of objects', (value) => Array.isArray(value) && value.every((each) => isObject(each)));
export const isFunction = must('a function', (value) => typeof value === 'function');
export const isDate = must('a valid Date', (value) => value instanceof Date && !Number.isNaN(value.getTime()));
export const isSignal = must('an AbortSignal', (value) => value instanceof AbortSignal);
export const isChannels: Check = (value) => (typeof value === 'string' ? undefined : isTexts(value) && 'must be a channel, or a list');
export const isHash = must('a text, or null', (value) => value === null || typeof value === 'string');
export const isTokenSource = must('a text, or a function that gives one', (value) => ['string', 'function'].includes(typeof value));
export const isCursor = must('an object with the functions load and save', (value) => hasFunctions(value, 'load', 'save'));
export const isOnGap: Check = (value) =>
  value === 'continue' || value === 'fail' || typeof value === 'function'
    ? undefined
    : "choose 'continue', 'fail' or a function for when events are missing";

export function isOneOf(...choices: readonly string[]): Check {
  return must(choices.map((choice) => `'${choice}'`).join(' or '), (value) => choices.includes(value as string));
}

function hasFunctions(value: unknown, ...names: readonly string[]): boolean {
  return isObject(value) && names.every((name) => typeof value[name] === 'function');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return isObject(value) ? 'an object' : String(value);
}

/** Which events a subscription selects, and where it starts. */
export const FILTER_CHECKS = { types: isTexts, from: isOneOf('now', 'earliest'), lastEventId: isText } satisfies Checks;
/** The time limit of a call, and the signal that ends it. */
export const CALL_CHECKS = { signal: isSignal, timeoutMs: isTime } satisfies Checks;

/** The address of the tRPC endpoint below the gateway's. */
export function endpointOf(url: string): string {
  const parsed = parseUrl(url);
  const problem = problemOf(parsed, url);
  if (problem !== undefined) throw invalidArgument('url', `${shown(url)} ${problem}`);
  parsed.protocol = parsed.protocol.replace('http', 'ws');
  parsed.pathname = `${parsed.pathname.replace(/\/+$/, '')}/trpc`;
  return parsed.href;
}

function parseUrl(url: string): URL {
  const base = (globalThis as { readonly location?: { readonly href: string } }).location?.href;
  try {
    if (typeof url === 'string' && url !== '') return new URL(url, base);
  } catch {
    // The error below says as much.
  }
  throw invalidArgument('url', `${shown(url)} is no address such as http://127.0.0.1:8766`);
}

function problemOf({ protocol, username, password, search, hash }: URL, url: string): string | undefined {
  if (!/^(https?|wss?):$/.test(protocol)) return 'must begin with http://, https://, ws:// or wss://';
  if (/\s/.test(url)) return 'must not have white space in it';
  if (username !== '' || password !== '') return 'must not name a user: the token says who the client is';
  if (search !== '' || hash !== '') return 'must not have a query or a fragment';
  return undefined;
}

/**
 * Refuses data that the gateway would refuse, or close the connection for. It looks for faults before it writes JSON, which would
 * refuse a bigint without its path.
 *
 * @returns the data as JSON.
 */
export function jsonOf(data: unknown): string {
  const fault = findFault(data);
  // The error for data that is too large is below, with the size.
  if (fault !== undefined && !fault.tooLarge) {
    const issue = { path: ['data', ...fault.path].join('.'), message: fault.message };
    throw new CourierError(isNoJson(fault) ? 'INVALID_ARGUMENT' : 'BAD_REQUEST', `${issue.path}: ${issue.message}`, { issues: [issue] });
  }
  let json: string;
  try {
    json = JSON.stringify(data);
  } catch (cause) {
    throw invalidArgument('data', `is not JSON: ${messageOf(cause)}`, cause);
  }
  const bytes = bytesOf(json);
  if (bytes <= MAX_DATA_BYTES) return json;
  const message = `must be at most ${MAX_DATA_BYTES} bytes as JSON, and is ${bytes}`;
  throw new CourierError('PAYLOAD_TOO_LARGE', `data: ${message}`, { issues: [{ path: 'data', message }] });
}

/** Bytes of the events of one call, at most: the gateway closes a connection for a message of more than 1 MiB. */
export const MAX_CALL_BYTES = 960 * 1024;

/** Refuses events that are too large for one message together. */
export function assertFitsMessage(events: readonly object[]): void {
  const bytes = bytesOf(JSON.stringify(events));
  if (bytes <= MAX_CALL_BYTES) return;
  throw new CourierError('PAYLOAD_TOO_LARGE', `the events must be at most ${MAX_CALL_BYTES} bytes as JSON, and are ${bytes}`, {
    hint: 'publish them in smaller batches',
  });
}

export function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
