/**
 * What is said of each fault that zod finds in an input. Callers in every language read it, so it names no type or value of
 * JavaScript, and says what must be, not what came. A schema that says something better itself is not overruled.
 */
import type { z } from 'zod';

type RawIssue = z.core.$ZodRawIssue;
type Message = (issue: never) => string;

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'an integer',
  boolean: 'true or false',
  bigint: 'an integer',
  array: 'a list',
  tuple: 'a list',
  object: 'an object',
  record: 'an object',
  date: 'a date and time',
};

const FORMATS: Readonly<Record<string, string>> = {
  date: 'a date such as 2026-01-31',
  datetime: 'a date and time such as 2026-01-31T12:00:00Z',
  time: 'a time such as 12:00:00',
  duration: 'a duration such as PT5M',
  email: 'an email address',
  url: 'a URL',
  uuid: 'a UUID',
  ipv4: 'an IPv4 address',
  ipv6: 'an IPv6 address',
  base64: 'base64',
  base64url: 'base64url',
};

/** What is counted in a value. Numbers are not counted. */
const UNITS: Readonly<Record<string, readonly [one: string, many: string]>> = {
  string: ['character', 'characters'],
  array: ['element', 'elements'],
  set: ['element', 'elements'],
  map: ['entry', 'entries'],
  object: ['field', 'fields'],
};

/** By zod's code of the fault. */
const MESSAGES = {
  invalid_type: ({ expected }: z.core.$ZodIssueInvalidType) => mustBe(KINDS[expected]),
  invalid_value: ({ values }: z.core.$ZodIssueInvalidValue) => {
    const listed = values.filter((value) => value !== null && value !== undefined).map((value) => JSON.stringify(value) ?? String(value));
    return mustBe(listed.length > 1 ? `one of ${listed.join(', ')}` : listed[0]);
  },
  too_big: ({ origin, maximum, inclusive, exact }: z.core.$ZodIssueTooBig) =>
    bound(origin, maximum, exact ? 'exactly' : inclusive === false ? 'less than' : 'at most'),
  too_small: ({ origin, minimum, inclusive, exact }: z.core.$ZodIssueTooSmall) =>
    bound(origin, minimum, exact ? 'exactly' : inclusive === false ? 'more than' : 'at least'),
  invalid_format: ({ format, pattern, prefix, suffix, includes }: z.core.$ZodIssueInvalidStringFormat & Record<string, unknown>) => {
    if (prefix !== undefined) return `must start with ${JSON.stringify(prefix)}`;
    if (suffix !== undefined) return `must end with ${JSON.stringify(suffix)}`;
    if (includes !== undefined) return `must contain ${JSON.stringify(includes)}`;
    const known = FORMATS[format];
    if (known !== undefined || pattern === undefined) return mustBe(known ?? `a string of the form ${format}`);
    return `must match ${pattern.replace(/^\/(.*)\/[a-z]*$/s, '$1')}`;
  },
  not_multiple_of: ({ divisor }: z.core.$ZodIssueNotMultipleOf) => `must be a multiple of ${divisor}`,
  unrecognized_keys: () => 'is not a known key',
  invalid_union: ({ errors }: z.core.$ZodIssueInvalidUnion) => oneOf(errors),
  invalid_key: ({ issues }: z.core.$ZodIssueInvalidKey) => `is no key that is taken: it ${issues[0]?.message ?? 'must be another'}`,
  invalid_element: () => 'has an element that is not taken',
  custom: () => 'is not taken',
} satisfies Record<z.core.$ZodIssue['code'], Message>;

/** The error map for `safeParse`. */
export function issueMessage(issue: RawIssue): string {
  // A field that is absent is that first, whatever it must be.
  if (issue.input === undefined && ABSENT.has(issue.code)) return 'is required';
  return (MESSAGES[issue.code] as (issue: RawIssue) => string)(issue);
}

const ABSENT: ReadonlySet<string> = new Set(['invalid_type', 'invalid_value', 'invalid_union']);

function mustBe(what: string | undefined): string {
  return what === undefined ? 'must be absent' : `must be ${what}`;
}

function bound(origin: string, limit: number | bigint | Date, comparison: string): string {
  const unit = UNITS[origin];
  if (unit !== undefined) return `must have ${comparison} ${limit} ${unit[Number(limit) === 1 ? 0 : 1]}`;
  const shown = origin === 'date' ? new Date(Number(limit)).toISOString() : limit;
  return `must be ${comparison} ${shown}`;
}

/** `must be a number or a string`: the forms that a union takes, as far as the value itself is in none of them. */
function oneOf(errors: readonly (readonly z.core.$ZodIssue[])[]): string {
  const said = errors.flatMap((issues) => issues.filter(({ path }) => path.length === 0).map(({ message }) => message));
  const [first, ...others] = new Set(said);
  if (first === undefined) return 'has none of the forms that it may have';
  return [first, ...others.map((message) => message.replace(/^must be /, ''))].join(' or ');
}
