/** Turns whatever a command threw into a line and an exit code. */
import { TRPCClientError } from '@trpc/client';
import { type ConnectionOptions, tokenSettings } from './connection.ts';
import { CliError, EXIT } from './errors.ts';
import { noGatewayAtPath } from './http.ts';

/** @param options of the command; without an address where it reaches no gateway. */
export function explain(error: unknown, { url = '', token }: Partial<ConnectionOptions>): CliError {
  const told = lineOf(error, url);
  return token === undefined && isOfAnotherKey(told) ? signedElsewhere(told) : told;
}

/** Whether a gateway has refused the form of what it got: of a name, perhaps. */
export function isOfNames(error: unknown): boolean {
  if (error instanceof CliError) return error.cause !== undefined;
  return error instanceof TRPCClientError && error.data?.code === 'BAD_REQUEST';
}

function lineOf(error: unknown, url: string): CliError {
  if (error instanceof CliError) return error;
  if (!(error instanceof TRPCClientError)) return new CliError(error instanceof Error ? error.message : String(error));
  if (error.cause instanceof CliError) return error.cause;
  const data: { code?: unknown; path?: unknown } | undefined = error.data ?? undefined;
  if (data?.code === 'UNAUTHORIZED' || data?.code === 'FORBIDDEN') return new CliError(error.message, EXIT.refused);
  // No procedure has a slash in its name: it is a part of the address.
  if (data?.code === 'NOT_FOUND' && String(data.path).includes('/')) return noGatewayAtPath(url);
  if (data?.code !== undefined) return new CliError(asWritten(error.message));
  return new CliError(`the answer of the gateway at ${url} cannot be read: ${error.message}`);
}

/** The gateway gets what a command was given of entities as a list. */
function asWritten(message: string): string {
  return message.replace(/^entities\.\d+: /, 'entity: ');
}

function isOfAnotherKey({ exitCode, message }: CliError): boolean {
  return exitCode === EXIT.refused && /its signature does not match|its algorithm is not the one in use/.test(message);
}

/** Of a token that the command signed itself. */
function signedElsewhere({ message, exitCode }: CliError): CliError {
  const { source } = tokenSettings();
  const remedy = source === 'COURIER_JWT_SECRET' ? `set ${source} to the gateway's` : "set COURIER_LOG to the gateway's";
  return new CliError(`${message}: it was signed with ${source}, and the gateway has another key: ${remedy}, or COURIER_TOKEN`, exitCode);
}
