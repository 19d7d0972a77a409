/**
 * Requests to a gateway, over node:http: they wait for an answer as long as the connection stands. `fetch` gives up after 300 s
 * without headers, and a gateway sends none while it copies its log.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { courier } from '../../src/commands.ts';
import { cut } from '../../src/errors.ts';
import { boundedText } from '../bounded-text.ts';
import { CliError, EXIT, type Passing } from './errors.ts';

export interface HttpRequest {
  readonly method?: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

export interface Answer {
  /** Whether it has a status of success. */
  readonly ok: boolean;
  readonly status: number;
  /** Without parameters; empty when there is none. */
  readonly contentType: string;
  readonly body: IncomingMessage;
}

/**
 * One request to `path` of the gateway at `url`.
 *
 * @throws {CliError} when nothing answers, or what answers is no gateway, or one that is elsewhere.
 */
export async function ask(url: string, path: string, request: HttpRequest): Promise<Answer> {
  const body = await send(url, path, request);
  const status = body.statusCode ?? 0;
  const contentType = (body.headers['content-type'] ?? '').split(';', 1)[0]?.trim() ?? '';
  const problem = problemOf(url, body, contentType);
  if (problem === undefined) return { ok: status >= 200 && status < 300, status, contentType, body };
  body.destroy();
  throw problem;
}

/** What was answered, as JSON. @throws {CliError} when it is something else, or breaks off. */
export async function readJson(url: string, { status, body }: Answer): Promise<unknown> {
  const sent = await boundedText(body).catch((error: unknown) => {
    throw error instanceof RangeError
      ? new CliError(`what answers at ${url} is no gateway: its answer ${error.message}`)
      : unreachable(url, error);
  });
  try {
    return JSON.parse(sent);
  } catch {
    throw noGateway(url, status);
  }
}

/** There is a gateway, and the address has a path that is not its own. */
export function noGatewayAtPath(url: string): CliError {
  return new CliError(`there is no gateway at this path of ${url}: check it against COURIER_BASE_PATH`);
}

function send(url: string, path: string, { method, headers, body }: HttpRequest): Promise<IncomingMessage> {
  const open = url.startsWith('https:') ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    open(`${url}${path}`, { method, headers }, resolve)
      .on('error', (error) => reject(unreachable(url, error)))
      .end(body);
  });
}

function problemOf(url: string, { statusCode = 0, headers }: IncomingMessage, contentType: string): CliError | undefined {
  if (headers['x-courier-contract'] === undefined) return noGateway(url, statusCode, headers.location);
  // Of calls that there are not a gateway tells in another form.
  return [404, 405, 426].includes(statusCode) && contentType === 'application/problem+json' ? noGatewayAtPath(url) : undefined;
}

/** What answers is something else, or a proxy. */
export function noGateway(url: string, status: number, location?: string): CliError {
  if (status >= 502 && status <= 504)
    return new CliError(`the proxy at ${url} does not reach the gateway (HTTP ${status})`, EXIT.failed, 'unavailable');
  const advice =
    location === undefined ? 'check the address' : `it sends callers on to ${cut(location)}: give the address of the gateway there`;
  return new CliError(`what answers at ${url} is no gateway (HTTP ${status}): ${advice}`);
}

/** What the system says of a connection, in words. */
const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: `nothing listens there (ECONNREFUSED): start a gateway with \`${courier('serve')}\`, or name another with --url or COURIER_URL`,
  ECONNRESET: 'the connection was closed before all of the answer had come',
  ENOTFOUND: 'there is no host of this name: check --url or COURIER_URL',
  EAI_AGAIN: 'the name of the host cannot be looked up now',
};

/** What OpenSSL says of an answer that is not TLS. */
const NOT_TLS = /^(EPROTO|ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST))$/;

function unreachable(url: string, error: unknown): CliError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (url.startsWith('https:') && NOT_TLS.test(code))
    return new CliError(`what answers at ${url} does not speak https: is it ${url.replace('https:', 'http:')}?`);
  const reason = WORDS[code] ?? (error instanceof Error ? error.message : String(error));
  return new CliError(`cannot reach the gateway at ${url}: ${reason}`, EXIT.failed, passing(code, error));
}

/** Errors of the system name its call; those of TLS do not, nor does an answer that broke off. */
function passing(code: string, error: unknown): Passing | undefined {
  // Of a name with several addresses each has failed.
  if (error instanceof AggregateError) return passing(code, error.errors[0]);
  const call = error instanceof Error && 'syscall' in error ? error.syscall : undefined;
  if (call === 'connect' || call === 'getaddrinfo') return 'unreachable';
  return code === 'ECONNRESET' || call !== undefined ? 'unavailable' : undefined;
}
