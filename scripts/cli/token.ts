/** `courier token`: signs tokens, for development and for those who hold the secret. */
import { signToken, type TokenRequest, tokenVerifier } from '../../src/auth/tokens.ts';
import { parseConfig } from '../../src/config.ts';
import { loadContract } from '../../src/contract-file.ts';
import { CourierError } from '../../src/errors.ts';
import { tokenSettings } from './connection.ts';
import { CliError, EXIT } from './errors.ts';
import { print } from './output.ts';

export interface TokenOptions extends Omit<TokenRequest, 'expiresInSeconds'> {
  /** In how many seconds. */
  readonly expires: number;
}

/** Prints a token that a gateway of this configuration takes. @throws {CliError} naming the claim for which it would not. */
export async function printToken({ expires, ...request }: TokenOptions): Promise<void> {
  const settings = tokenSettings();
  const token = await signToken(settings, { ...request, expiresInSeconds: expires });
  const contract = await loadContract(parseConfig(process.env, { unknown: 'pass-over' }).contract);
  using verifier = tokenVerifier({ ...settings, contract, secrets: [settings.secret], jwksUrl: undefined });
  await verifier.verify(token).catch((error: unknown) => {
    throw error instanceof CourierError ? new CliError(error.message, EXIT.usage) : error;
  });
  await print(token);
}
