/** The form of every option, and the errors that name the one that is wrong. */
import { LEAST_LIKENESS, mostLike } from '../../src/most-like.ts';
import { invalidArgument } from './errors.ts';

/** What is wrong with a value; undefined when nothing is. */
type Check = (value: unknown) => string | FaultWithin | undefined;

/** What is wrong with a part of a value. */
interface FaultWithin {
  /** From the value. */
  readonly path: string;
  readonly problem: string;
  readonly part: unknown;
}

/** The form of each option. An option that is undefined is absent. */
type Checks = Readonly<Record<string, Check>>;

/** @throws {CourierError} INVALID_ARGUMENT, naming the first option that is wrong, or that there is not. */
export function assertOptions(options: unknown, checks: Checks): void {
  if (!isObject(options)) throw invalidArgument('options', `must be an object, and is ${shown(options)}`);
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && !Object.hasOwn(checks, name)) {
      throw invalidArgument(name, `there is no such option; ${instead(name, Object.keys(checks))}`);
    }
  }
  for (const [name, check] of Object.entries(checks)) {
    const value = options[name];
    if (value !== undefined) assertArgument(name, value, check);
  }
}

/** As `assertOptions`, for an argument that must be there. */
export function assertArgument(name: string, value: unknown, check: Check): void {
  const fault = check(value);
  if (typeof fault === 'string') throw invalidArgument(name, `${fault}, and is ${shown(value)}`);
  if (fault !== undefined) throw invalidArgument(`${name}.${fault.path}`, `${fault.problem}, and is ${shown(fault.part)}`);
}

/** Names the option that may be meant, or all that there are. */
function instead(name: string, names: readonly string[]): string {
  const known = new Map(names.map((each) => [each.toLowerCase(), each]));
  const best = mostLike(name.toLowerCase(), [...known.keys()]);
  return best.likeness < LEAST_LIKENESS ? `the options are ${names.join(', ')}` : `the nearest is ${known.get(best.name)}`;
}

export function must(be: string, isSo: (value: unknown) => boolean): Check {
  return (value) => (isSo(value) ? undefined : `must be ${be}`);
}

/** The time that something may take. */
const isTime = must('a number of ms from 0 to Infinity', (value) => typeof value === 'number' && value >= 0);
/** How long to wait. */
const isDelay = must('a finite number of ms, 0 or more', (value) => Number.isFinite(value) && (value as number) >= 0);
const isCount = must('a whole number, 1 or more', (value) => Number.isSafeInteger(value) && (value as number) >= 1);
const isNumberOfEvents = must('a number of events', (value) => Number.isSafeInteger(value) && (value as number) >= 0);
export const isText = must('a text', (value) => typeof value === 'string' && value !== '');
const isTexts = must('a list of texts', (value) => Array.isArray(value) && value.every((each) => typeof each === 'string'));
export const isObjects = must('a list of objects', (value) => Array.isArray(value) && value.every((each) => isObject(each)));
export const isFunction = must('a function', (value) => typeof value === 'function');
const isSomeTexts = must('a list of one or more texts', (value) => isTexts(value) === undefined && (value as unknown[]).length > 0);
const isBoolean = must('true or false', (value) => typeof value === 'boolean');
const isPerSecond = must('a number from 0.1 to 100', (value) => typeof value === 'number' && value >= 0.1 && value <= 100);
const isWhere: Check = (value) => {
  if (!isObject(value) || Array.isArray(value)) return "must be an object, by fields such as 'state.symbol'";
  return Object.entries(value)
    .map(([field, values]) => (values === undefined ? undefined : faultInValues(field, values)))
    .find((fault) => fault !== undefined);
};
const isDate = must('a valid Date', (value) => value instanceof Date && !Number.isNaN(value.getTime()));
const isInstant = must(
  'a valid Date, or the text of one',
  (value) => isDate(typeof value === 'string' ? new Date(value) : value) === undefined,
);
const isSignal = must('an AbortSignal', (value) => hasFunctions(value, 'addEventListener') && 'aborted' in (value as object));
export const isChannels: Check = (value) => (typeof value === 'string' ? undefined : isTexts(value) && 'must be a channel, or a list');
const isHash = must('a text, or null', (value) => value === null || typeof value === 'string');
export const isTokenSource = must('a text, or a function that gives one', (value) => ['string', 'function'].includes(typeof value));
const isCursor = must('an object with the functions load and save', (value) => hasFunctions(value, 'load', 'save'));
const isOnGap = must(
  "'continue', 'fail' or a function",
  (value) => ['continue', 'fail'].includes(value as string) || typeof value === 'function',
);

function isOneOf(...choices: readonly string[]): Check {
  return must(choices.map((choice) => `'${choice}'`).join(' or '), (value) => choices.includes(value as string));
}

function hasFunctions(value: unknown, ...names: readonly string[]): boolean {
  return isObject(value) && names.every((name) => typeof value[name] === 'function');
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

const SCALAR = 'must be a text, a finite number or a boolean, or a list of one or more of them';

function faultInValues(field: string, values: unknown): FaultWithin | undefined {
  if (!Array.isArray(values)) return isScalar(values) ? undefined : { path: field, problem: SCALAR, part: values };
  if (values.length === 0) return { path: field, problem: SCALAR, part: values };
  const index = values.findIndex((value) => !isScalar(value));
  return index < 0 ? undefined : { path: `${field}.${index}`, problem: SCALAR, part: values[index] };
}

function isScalar(value: unknown): boolean {
  return ['string', 'boolean'].includes(typeof value) || Number.isFinite(value);
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  return isObject(value) ? 'an object' : String(value);
}

/** The time limit of a call, and the signal that ends it. */
export const CALL_CHECKS = { signal: isSignal, timeoutMs: isTime } satisfies Checks;
/** What waits for something to end. */
export const CLOSE_CHECKS = { timeoutMs: isTime } satisfies Checks;
/** Which events a subscription selects, and where it starts. */
export const FILTER_CHECKS = { types: isTexts, from: isOneOf('now', 'earliest'), lastEventId: isText } satisfies Checks;

export const CLIENT_CHECKS = {
  // Its form is checked apart, by what does not tell it.
  url: () => undefined,
  token: isTokenSource,
  retry: must('an object', isObject),
  onGap: isOnGap,
  contractHash: isHash,
  timeoutMs: isTime,
  giveUpAfter: isTime,
  maxPendingPublishes: isCount,
  onRetry: isFunction,
} satisfies Checks;
export const RETRY_CHECKS = { minDelayMs: isDelay, maxDelayMs: isDelay, busyDelayMs: isDelay } satisfies Checks;
export const PUBLISH_CHECKS = {
  ...CALL_CHECKS,
  timestamp: isDate,
  correlationId: isText,
  causationId: isText,
  userId: isText,
  traceparent: isText,
  idempotencyKey: isText,
} satisfies Checks;
export const METADATA_CHECKS = {
  timestamp: isInstant,
  correlation_id: isText,
  causation_id: isText,
  user_id: isText,
  traceparent: isText,
} satisfies Checks;
export const TRACE_CHECKS = { id: isText, correlationId: isText } satisfies Checks;
export const HISTORY_CHECKS = {
  ...CALL_CHECKS,
  types: isTexts,
  order: isOneOf('oldest', 'newest'),
  after: isText,
  before: isText,
  limit: isCount,
} satisfies Checks;
export const ITERATION_CHECKS = { ...CALL_CHECKS, types: isTexts, after: isText, pageSize: isCount, onGap: isOnGap } satisfies Checks;
export const SUBSCRIBE_CHECKS = {
  ...FILTER_CHECKS,
  onGap: isOnGap,
  cursor: isCursor,
  signal: isSignal,
  maxBufferedEvents: isCount,
  whenRefused: isOneOf('end', 'wait'),
  onError: isFunction,
} satisfies Checks;
const CONDITION_CHECKS = { keys: isSomeTexts, open: isBoolean, where: isWhere } satisfies Checks;
export const STATE_CHECKS = {
  ...CONDITION_CHECKS,
  maxPerSecond: isPerSecond,
  signal: isSignal,
  whenRefused: isOneOf('end', 'wait'),
} satisfies Checks;
export const READ_STATE_CHECKS = { ...CALL_CHECKS, ...CONDITION_CHECKS } satisfies Checks;
export const ENTITIES_CHECKS = { ...CONDITION_CHECKS, maxPerSecond: isPerSecond } satisfies Checks;
export const BACKGROUND_CHECKS = {
  maxQueued: isCount,
  maxQueuedBytes: isCount,
  whenFull: isOneOf('drop-oldest', 'drop-newest'),
  onError: isFunction,
} satisfies Checks;
export const HOOK_CHECKS = { ...FILTER_CHECKS, history: isNumberOfEvents, onEvent: isFunction, onGap: isFunction } satisfies Checks;
export const FILE_CURSOR_CHECKS = { syncEveryMs: isTime } satisfies Checks;
