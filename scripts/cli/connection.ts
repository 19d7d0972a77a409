/** How the commands reach a gateway: its address, a token, and typed clients over HTTP and WebSocket. */
import { readFileSync } from 'node:fs';
import { createTRPCClient, httpBatchLink, type TRPCClient, TRPCClientError } from '@trpc/client';
import superjson from 'superjson';
import type { CourierClient } from '../../client/src/index.ts';
import { developmentSecretPath } from '../../src/auth/development-secret.ts';
import { signToken, type TokenSettings } from '../../src/auth/tokens.ts';
import { type Config, parseConfig } from '../../src/config.ts';
import type { AppRouter } from '../../src/router/index.ts';

/** Exit codes of every command. */
export const EXIT = { ok: 0, failed: 1, usage: 2, refused: 3 } as const;

/** A failure to show as one line, with the exit code it ends with. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

export interface ConnectionOptions {
  /** The gateway's: http or https, perhaps with a path, and no slash at its end. */
  readonly url: string;
  readonly token?: string | undefined;
}

/** How long a token lives that a command signs for itself, in seconds. */
const OWN_TOKEN_SECONDS = 24 * 60 * 60;

/** With what tokens are signed here, and how long they may live: the secret of the environment, or that of a gateway in development beside its log. */
export function tokenSettings(): TokenSettings & Pick<Config['jwt'], 'maxLifetimeMs'> {
  const config = parseConfig(process.env);
  const [secret] = config.jwt.secrets;
  if (secret !== undefined) return { ...config.jwt, secret };
  if (config.jwt.jwksUrl !== undefined) throw new CliError('COURIER_JWKS_URL is set: get a token from whoever has the private keys');
  const path = developmentSecretPath(config.log);
  try {
    if (path !== undefined) return { ...config.jwt, secret: readFileSync(path, 'utf8').trim() };
  } catch {
    // Told below, with what to do.
  }
  const where = path === undefined ? 'COURIER_LOG is memory:, which keeps none' : `there is none at ${path} yet: start the gateway once`;
  throw new CliError(`no secret to sign a token with: set COURIER_JWT_SECRET; ${where}`);
}

/** The token that was given, or in development one that is signed on the spot. */
export async function tokenFor({ token }: ConnectionOptions): Promise<string> {
  if (token !== undefined) return token;
  try {
    return await signToken(tokenSettings(), { sub: 'courier-cli', role: 'admin', expiresInSeconds: OWN_TOKEN_SECONDS });
  } catch (error) {
    throw new CliError(
      `no token: give --token or set COURIER_TOKEN (${error instanceof Error ? error.message : String(error)})`,
      EXIT.refused,
    );
  }
}

/** A client for single calls. */
export async function httpClient(options: ConnectionOptions): Promise<TRPCClient<AppRouter>> {
  const headers = { authorization: `Bearer ${await tokenFor(options)}` };
  const link = httpBatchLink({
    url: `${options.url}/trpc`,
    transformer: superjson,
    headers,
    fetch: (url, init) => ask(options, url, init as RequestInit),
  });
  return createTRPCClient<AppRouter>({ links: [link] });
}

/** A client for subscriptions: it comes back by itself. A gap is the caller's business. */
export async function webSocketClient(options: ConnectionOptions): Promise<CourierClient<'continue'>> {
  // Only here, so that what the client is made of can be made anew by a command that does not load it.
  const { CourierClient } = await import('../../client/src/index.ts');
  return new CourierClient({ url: options.url, token: await tokenFor(options), onGap: 'continue' });
}

/** One request. @throws {CliError} when whatever answers is no gateway, or one that is elsewhere. */
async function ask(options: ConnectionOptions, ...request: Parameters<typeof fetch>): Promise<Response> {
  const response = await fetch(...request);
  const { status, headers } = response;
  if (!headers.has('x-courier-contract')) {
    const isProxy = status >= 502 && status <= 504;
    throw new CliError(
      isProxy
        ? `the proxy at ${options.url} does not reach the gateway (HTTP ${status})`
        : `what answers at ${options.url} is no gateway (HTTP ${status}): check the address`,
    );
  }
  // Of calls that there are not a gateway tells in another form.
  if (status === 404 && headers.get('content-type')?.startsWith('application/problem+json')) {
    throw new CliError(`there is no gateway at this path of ${options.url}: check it against COURIER_BASE_PATH`);
  }
  return response;
}

/** GET of a plain path that answers JSON. `ok` is false for an answer that reports trouble and still has a body. */
export async function getJson(options: ConnectionOptions, path: string): Promise<{ ok: boolean; body: Record<string, unknown> }> {
  const response = await ask(options, `${options.url}${path}`, { headers: { authorization: `Bearer ${await tokenFor(options)}` } });
  const body = (await response.json()) as Record<string, unknown>;
  if (response.status === 401 || response.status === 403) throw new CliError(String(body['detail']), EXIT.refused);
  return { ok: response.ok, body };
}

/** GET of a plain path that answers a file, as it comes. @throws {CliError} with what the gateway says when it has none to give. */
export async function getFile(options: ConnectionOptions, path: string): Promise<ReadableStream<Uint8Array>> {
  const response = await ask(options, `${options.url}${path}`, { headers: { authorization: `Bearer ${await tokenFor(options)}` } });
  if (response.ok && response.body !== null) return response.body;
  const { detail } = (await response.json()) as { detail?: unknown };
  throw new CliError(String(detail), response.status === 401 || response.status === 403 ? EXIT.refused : EXIT.failed);
}

/** Turns whatever was thrown into a line and an exit code. */
export function explain(error: unknown, url: string): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof TRPCClientError) {
    if (error.cause instanceof CliError) return error.cause;
    const code: unknown = error.data?.code;
    if (code === 'UNAUTHORIZED' || code === 'FORBIDDEN') return new CliError(error.message, EXIT.refused);
    if (code !== undefined) return new CliError(error.message);
    return new CliError(`cannot reach the gateway at ${url}: ${reasonOf(error)}`);
  }
  if (error instanceof TypeError && error.message === 'fetch failed')
    return new CliError(`cannot reach the gateway at ${url}: ${reasonOf(error)}`);
  return new CliError(error instanceof Error ? error.message : String(error));
}

/** The innermost cause says most: `connect ECONNREFUSED 127.0.0.1:8766` rather than `fetch failed`. */
function reasonOf(error: Error): string {
  return error.cause instanceof Error ? reasonOf(error.cause) : error.message;
}
