/** How the commands reach a gateway: its address, a token, and typed clients over HTTP and WebSocket. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { createTRPCClient, httpBatchLink, type TRPCClient } from '@trpc/client';
import superjson from 'superjson';
import type { CourierClient } from '../../client/src/index.ts';
import { developmentSecretPath } from '../../src/auth/development-secret.ts';
import { signToken, type TokenSettings } from '../../src/auth/tokens.ts';
import { courier } from '../../src/commands.ts';
import { type Config, parseConfig } from '../../src/config.ts';
import type { AppRouter } from '../../src/router/index.ts';
import { CliError, EXIT } from './errors.ts';
import { type Answer, ask, noGateway, noGatewayAtPath, readJson } from './http.ts';

export interface ConnectionOptions {
  /** The gateway's: http or https, perhaps with a path, and no slash at its end. */
  readonly url: string;
  readonly token?: string | undefined;
}

/** How long a token lives that a command signs for itself, in seconds. */
const OWN_TOKEN_SECONDS = 24 * 60 * 60;

export interface OwnTokenSettings extends TokenSettings, Pick<Config['jwt'], 'maxLifetimeMs'> {
  /** Where the secret is from, in words. */
  readonly source: string;
}

/** With what tokens are signed here, and how long they may live: the secret of the environment, or that of a gateway in development beside its log. */
export function tokenSettings(): OwnTokenSettings {
  const config = parseConfig(process.env, { unknown: 'pass-over' });
  const [secret] = config.jwt.secrets;
  if (secret !== undefined) return { ...config.jwt, secret, source: 'COURIER_JWT_SECRET' };
  if (config.jwt.jwksUrl !== undefined) throw new CliError('COURIER_JWKS_URL is set: get a token from whoever has the private keys');
  const path = developmentSecretPath(config.log);
  try {
    if (path !== undefined) return { ...config.jwt, secret: readFileSync(path, 'utf8').trim(), source: resolve(path) };
  } catch {
    // Told below, with what to do.
  }
  const where = path === undefined ? 'COURIER_LOG is memory:, which keeps none' : `there is none at ${path} yet: start the gateway once`;
  throw new CliError(`no secret to sign a token with: set COURIER_JWT_SECRET; ${where}`);
}

/** The token that was given, or in development one that is signed on the spot. */
export async function tokenFor({ token }: ConnectionOptions): Promise<string> {
  if (token === '') throw emptyToken();
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

/** Not the same as none: a token was meant to be there. */
function emptyToken(): CliError {
  const name = process.env['COURIER_TOKEN'] === '' ? 'COURIER_TOKEN' : '--token';
  const advice = `get one with \`${courier('token --sub NAME')}\`, or leave it out to have one signed in development`;
  return new CliError(`${name} is empty, as after a $(...) that failed: ${advice}`, EXIT.usage);
}

async function authorization(options: ConnectionOptions): Promise<Record<string, string>> {
  return { authorization: `Bearer ${await tokenFor(options)}` };
}

/** A client for single calls. */
export async function httpClient(options: ConnectionOptions): Promise<TRPCClient<AppRouter>> {
  const { url } = options;
  const link = httpBatchLink({
    url: `${url}/trpc`,
    transformer: superjson,
    headers: await authorization(options),
    fetch: async (target, init) => {
      const { method, headers, body } = init as { method: string; headers: Record<string, string>; body?: string };
      const answer = await ask(url, String(target).slice(url.length), { method, headers, body });
      if (answer.contentType === 'application/json') return { ok: answer.ok, json: () => readJson(url, answer) };
      await told(url, answer);
      throw unexpected(url, answer);
    },
  });
  return createTRPCClient<AppRouter>({ links: [link] });
}

/** A client for subscriptions: it comes back by itself. A gap is the caller's business. */
export async function webSocketClient(options: ConnectionOptions): Promise<CourierClient> {
  // Only here, so that what the client is made of can be made anew by a command that does not load it.
  const { CourierClient } = await import('../../client/src/index.ts');
  return new CourierClient({ url: options.url, token: await tokenFor(options), onGap: 'continue', contractHash: null });
}

/** GET of a plain path that answers JSON. `ok` is false for an answer that reports trouble and still has a body. */
export async function getJson(options: ConnectionOptions, path: string): Promise<{ ok: boolean; body: Record<string, unknown> }> {
  const answer = await ask(options.url, path, { headers: await authorization(options) });
  const body = await told(options.url, answer);
  if (body['version'] === undefined) throw unexpected(options.url, answer);
  return { ok: answer.ok, body };
}

/** GET of a plain path that answers a file of this type, as it comes. @throws {CliError} with what the gateway says when it has none to give. */
export async function getFile(options: ConnectionOptions, path: string, type: string): Promise<Readable> {
  const answer = await ask(options.url, path, { headers: await authorization(options) });
  if (answer.ok && answer.contentType === type) return answer.body;
  await told(options.url, answer);
  throw unexpected(options.url, answer);
}

/** What is told in JSON; empty when it is something else. @throws {CliError} with the gateway's refusal. */
async function told(url: string, answer: Answer): Promise<Record<string, unknown>> {
  if (!/^application\/(problem\+)?json$/.test(answer.contentType)) return {};
  const body = (await readJson(url, answer)) as Record<string, unknown>;
  if (body['detail'] === undefined) return body;
  const { status } = answer;
  const isPassing = status === 429 || (status >= 502 && status <= 504);
  throw new CliError(
    String(body['detail']),
    status === 401 || status === 403 ? EXIT.refused : EXIT.failed,
    isPassing ? 'unavailable' : undefined,
  );
}

/** A proxy's page; or what a gateway answers elsewhere, which may be a stream without an end. */
function unexpected(url: string, { status, body }: Answer): CliError {
  body.destroy();
  return status >= 500 ? noGateway(url, status) : noGatewayAtPath(url);
}
