/** `courier token`: signs tokens, for development and for those who hold the secret. */
import { z } from 'zod';
import { signToken, type TokenRequest, tokenVerifier } from '../../src/auth/tokens.ts';
import { parseConfig } from '../../src/config.ts';
import type { Contract } from '../../src/contract/contract.ts';
import { loadContract } from '../../src/contract-file.ts';
import { CourierError } from '../../src/errors.ts';
import { tokenSettings } from './connection.ts';
import { CliError, EXIT } from './errors.ts';
import { print, tell } from './output.ts';

export interface TokenOptions extends Omit<TokenRequest, 'expiresInSeconds'> {
  /** In how many seconds. */
  readonly expires: number;
}

/** Prints a token that a gateway of this configuration takes. @throws {CliError} naming the option for which it would not. */
export async function printToken({ expires, ...request }: TokenOptions): Promise<void> {
  const settings = tokenSettings();
  const token = await signToken(settings, { ...request, expiresInSeconds: expires });
  const contract = await loadContract(parseConfig(process.env, { unknown: 'pass-over' }).contract);
  checkPatterns(contract, '--subscribe', request.subscribe);
  checkPatterns(contract, '--publish', request.publish);
  using verifier = tokenVerifier({ ...settings, contract, secrets: [settings.secret], jwksUrl: undefined });
  await verifier.verify(token).catch((error: unknown) => {
    throw error instanceof CourierError ? refusal(error) : error;
  });
  const { sub, role } = request;
  if (role === 'service' && !contract.services.has(sub))
    tell(
      `courier: --sub ${sub} is no service of the contract (${[...contract.services.keys()].join(', ')}): it may read, and publishes nothing`,
    );
  await print(token);
}

/** Also where the role may read everything, and the gateway would not look at them. */
function checkPatterns({ channels }: Contract, option: string, patterns: readonly string[] = []): void {
  try {
    channels.setOf(patterns);
  } catch (error) {
    throw error instanceof RangeError ? new CliError(`${option}: ${error.message}`, EXIT.usage) : error;
  }
}

/** Which option makes what a claim says. */
const OPTIONS: Readonly<Record<string, string>> = {
  sub: '--sub',
  role: '--role',
  exp: '--expires',
  subscribe: '--subscribe',
  publish: '--publish',
};

/** Names the option, where a claim is wrong. */
function refusal({ message, cause }: CourierError): CliError {
  const [issue] = cause instanceof z.ZodError ? cause.issues : [];
  const option = OPTIONS[String(issue?.path[0])];
  return new CliError(issue === undefined || option === undefined ? message : `${option} ${issue.message}`, EXIT.usage);
}
