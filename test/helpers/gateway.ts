/** A gateway for a test: on a free port, with tokens to order, and everything closed at the end of the scope. */

import { createTRPCClient, createWSClient, httpBatchLink, httpSubscriptionLink, splitLink, type TRPCClient, wsLink } from '@trpc/client';
import { EventSource } from 'eventsource';
import superjson from 'superjson';
import { expect } from 'vitest';
import { signToken, type TokenRequest } from '../../src/auth/tokens.ts';
import { type Config, parseConfig } from '../../src/config.ts';
import type { Role } from '../../src/contract/admin.ts';
import { createGateway, type Gateway, type GatewayOptions } from '../../src/gateway.ts';
import type { AppRouter } from '../../src/router/index.ts';
import { contract } from './lumiere.ts';

export const SECRET = 'a-secret-of-at-least-thirty-two-bytes';
export const TOKENS = { secret: SECRET, audience: 'courier', issuer: undefined } as const;
/** `COURIER_LIMITS` for tests that are about something else. */
export const UNLIMITED = JSON.stringify(
  Object.fromEntries([
    ...['user', 'service', 'admin'].map((role) => [
      role,
      { connections: null, publishPerSecond: null, publishPerMinute: null, subscribePerSecond: null, queriesPerSecond: null },
    ]),
    ['gateway', { connections: null, unauthenticatedPerAddress: null, failedAuthenticationsPerMinute: null }],
  ]),
);

/** `T` is tRPC's client, with the procedures of the gateway's contract. */
export interface TestGateway<T = TRPCClient<AppRouter>> extends Gateway {
  token(sub: string, role?: Role, grants?: Partial<TokenRequest>): Promise<string>;
  /** A client over WebSocket; close it with the returned function or by the end of the scope. */
  webSocketClient(token: string): TestClient<T>;
  /** A client over HTTP, with subscriptions as server-sent events. */
  httpClient(token: string): T;
}

export interface TestClient<T = TRPCClient<AppRouter>> extends AsyncDisposable {
  readonly trpc: T;
  readonly ws: ReturnType<typeof createWSClient>;
}

/** @param options beside the configuration, such as shorter timings, or another contract than Lumiere's. */
export async function startGateway<T = TRPCClient<AppRouter>>(
  env: Record<string, string> = {},
  overrides: Partial<Config> = {},
  options: Partial<GatewayOptions> = {},
): Promise<TestGateway<T>> {
  const config = parseConfig({
    COURIER_PORT: '0',
    COURIER_LOG: 'memory:',
    COURIER_JWT_SECRET: SECRET,
    COURIER_LOG_LEVEL: 'silent',
    COURIER_LOG_FORMAT: 'json',
    COURIER_LIMITS: UNLIMITED,
    ...env,
  });
  const gateway = await createGateway({ ...config, ...overrides }, { contract, ...options });
  return {
    ...gateway,
    get census() {
      return gateway.census;
    },
    [Symbol.asyncDispose]: async () => {
      await gateway[Symbol.asyncDispose]();
      assertNothingIsLeft(gateway);
    },
    token: (sub, role = 'user', grants = {}) => signToken(TOKENS, { sub, role, expiresInSeconds: 300, ...grants }),
    webSocketClient: (token) => webSocketClient(gateway.url, token),
    httpClient: (token) => httpClient(gateway.url, token),
  };
}

/** Whatever a test did to a gateway: once it has ended, nothing of its clients is left in it. */
function assertNothingIsLeft({ census, pipeline }: Gateway): void {
  expect({ census, live: pipeline.hub.subscribers, topics: pipeline.hub.topics }).toEqual({
    census: {
      connections: { trpc: 0, plain: 0, sse: 0 },
      requests: 0,
      unauthenticated: 0,
      places: 0,
      subscriptions: 0,
      reservedBytes: 0,
      isWatching: false,
    },
    live: 0,
    topics: 0,
  });
}

export function webSocketClient<T = TRPCClient<AppRouter>>(url: string, token: string): TestClient<T> {
  const ws = createWSClient({ url: `${url.replace('http', 'ws')}/trpc`, connectionParams: { token } });
  return {
    ws,
    // Which procedures there are is known to the compiler only.
    trpc: createTRPCClient<AppRouter>({ links: [wsLink({ client: ws, transformer: superjson })] }) as T,
    [Symbol.asyncDispose]: () => ws.close(),
  };
}

export function httpClient<T = TRPCClient<AppRouter>>(url: string, token: string): T {
  const headers = { authorization: `Bearer ${token}` };
  return createTRPCClient<AppRouter>({
    links: [
      splitLink({
        condition: (op) => op.type === 'subscription',
        true: httpSubscriptionLink({ url: `${url}/trpc`, transformer: superjson, EventSource, connectionParams: { token } }),
        false: httpBatchLink({ url: `${url}/trpc`, transformer: superjson, headers }),
      }),
    ],
  }) as T;
}
