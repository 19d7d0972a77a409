/** How the benchmark's gateways are set up, and the token of its principal, who may do all it can. */
import { signToken } from '../../src/auth/tokens.ts';

const SECRET = 'a-secret-for-benchmarks-of-at-least-32-bytes';
const TOKENS = { secret: SECRET, audience: 'courier', issuer: undefined } as const;
const LIMITS = JSON.stringify({
  admin: { connections: null, publishPerSecond: null, subscribePerSecond: null, queriesPerSecond: null },
  gateway: { connections: null, unauthenticatedPerAddress: null },
});

/** The variables of a gateway on any free port, with this log. */
export function benchEnvironment(log: string): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], COURIER_PORT: '0', COURIER_LOG: log, COURIER_JWT_SECRET: SECRET, COURIER_LIMITS: LIMITS };
}

export function benchToken(): Promise<string> {
  return signToken(TOKENS, { sub: 'bench', role: 'admin', expiresInSeconds: 86_400 });
}
