/**
 * What publish answers tell of limits: `RateLimit-Policy` and `RateLimit`, as draft-ietf-httpapi-ratelimit-headers-10 has them, in
 * structured fields (RFC 9651).
 */
import type { ServerResponse } from 'node:http';
import type { Connection } from '../connections/connection.ts';
import type { Allowance } from '../limits/allowances.ts';

const SECOND_MS = 1000;
/** By how much a time may be off, in ms. */
const ROUNDING_MS = 1e-3;

/** Names a limit: `publish` and `channel` are those of a second. */
function policyOf({ scope, rate: { periodMs } }: Allowance): string {
  return periodMs === SECOND_MS ? `"${scope}"` : `"${scope}-minute"`;
}

const policy = (allowance: Allowance) => `${policyOf(allowance)};q=${allowance.rate.limit};w=${allowance.rate.periodMs / SECOND_MS}`;

const state = (allowance: Allowance) =>
  `${policyOf(allowance)};r=${allowance.level.remaining};t=${Math.ceil((allowance.level.fullInMs - ROUNDING_MS) / SECOND_MS)}`;

/** Tells what the request that is answered was charged to, and what is left; nothing where it was charged to no limit of publishing. */
export function tellAllowances(res: ServerResponse, { allowances }: Connection): void {
  if (allowances === undefined || res.headersSent) return;
  const { list } = allowances;
  res.setHeader('ratelimit-policy', list.map(policy).join(', '));
  res.setHeader('ratelimit', list.map(state).join(', '));
}
