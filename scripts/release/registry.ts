/** A registry of packages, as a release sees it. */

/** Why nothing is released; for the operator. */
export class Refused extends Error {}

/** A package that is built and checked. */
export interface PackedFile {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  /** How many files are in it. */
  readonly files: number;
}

export interface Registry {
  /** With a slash at its end. */
  readonly url: string;
  /** The variables that are needed to sign in, and not set. */
  missingCredentials(): readonly string[];
  /** @throws {Refused} when the registry has one of the packages in this version, does not accept the credentials or does not answer. */
  refuseReleased(version: string): Promise<void>;
  /** Builds the packages into a folder, and checks them. @throws {Refused} with what is wrong with them. */
  pack(version: string, folder: string): Promise<readonly PackedFile[]>;
  /** @throws {Failed} what the program printed says why. */
  upload(file: PackedFile): void;
}

/** How long a registry may take to answer, in ms. */
const ANSWER_MS = 30_000;

/** Asks a registry. @throws {Refused} when it does not answer, or with anything but one of the `expected` statuses. */
export async function ask(
  url: string,
  headers: Record<string, string>,
  expected: readonly number[],
  credentials: string,
): Promise<Response> {
  const response = await fetch(url, { headers, redirect: 'manual', signal: AbortSignal.timeout(ANSWER_MS) }).catch((error: Error) => {
    throw new Refused(`${url} does not answer: ${error.cause instanceof Error ? error.cause.message : error.message}`);
  });
  if (expected.includes(response.status)) return response;
  const isRefusal = response.status === 401 || response.status === 403;
  throw new Refused(isRefusal ? `${credentials}: not accepted by ${url} (${response.status})` : `${url} answers with ${response.status}`);
}
