/** With what the benchmark's gateways sign and check tokens. */
export const BENCH_SECRET = 'a-secret-for-benchmarks-of-at-least-32-bytes';
export const BENCH_TOKENS = { secret: BENCH_SECRET, audience: 'courier', issuer: undefined } as const;
/** The benchmark's principal may do all it can. */
export const BENCH_LIMITS = JSON.stringify({
  admin: { connections: null, publishPerSecond: null, subscribePerSecond: null, queriesPerSecond: null },
  gateway: { connections: null, unauthenticatedPerAddress: null },
});
