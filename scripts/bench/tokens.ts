/** With what the benchmark's gateways sign and check tokens. */
export const BENCH_SECRET = 'a-secret-for-benchmarks-of-at-least-32-bytes';
export const BENCH_TOKENS = { secret: BENCH_SECRET, audience: 'courier', issuer: undefined } as const;
