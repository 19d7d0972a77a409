/** Tokens: signing them for development and the CLI, and turning one into a Principal. */
import { errors, SignJWT } from 'jose';
import { z } from 'zod';
import type { Role } from '../contract/admin.ts';
import type { Contract } from '../contract/contract.ts';
import { CourierError } from '../errors.ts';
import { CLOCK_TOLERANCE_MS, claimsReader } from './claims.ts';
import type { Grants, Principal } from './principal.ts';
import { byKeySet, bySecrets } from './signatures.ts';
import { VerifiedTokens } from './verified-tokens.ts';

/** HS256 is no stronger than its secret (RFC 7518, section 3.2). */
export const MIN_SECRET_BYTES = 32;
const MAX_TOKEN_BYTES = 8192;

/** With what tokens are signed. */
export interface TokenSettings {
  readonly secret: string;
  readonly audience: string;
  readonly issuer: string | undefined;
}

/** With what tokens are checked. */
export interface VerifierSettings {
  /** Whose services and channels tokens name. */
  readonly contract: Contract;
  /** Secrets of HS256, any of which may have signed: several while one is replaced by another. */
  readonly secrets: readonly string[];
  /** Where public keys are to be had instead (RS256, ES256, EdDSA). */
  readonly jwksUrl?: string | undefined;
  readonly audience: string;
  readonly issuer: string | undefined;
  /** How long a token may live. */
  readonly maxLifetimeMs: number;
}

/**
 * Verifies a token. Resolves to who it speaks for; rejects with UNAUTHORIZED and a reason that may be shown, or with
 * SERVICE_UNAVAILABLE when the keys cannot be had.
 */
export type VerifyToken = (token: string) => Promise<Principal>;

/** Remembers what it verified, until it is disposed of. */
export interface TokenVerifier extends Disposable {
  readonly verify: VerifyToken;
  /** Who it speaks for, where it was verified a moment ago. */
  readonly known: (token: string) => Principal | undefined;
}

export function tokenVerifier(settings: VerifierSettings): TokenVerifier {
  const verifySignature = settings.jwksUrl === undefined ? bySecrets(settings.secrets) : byKeySet(settings.jwksUrl);
  const principalFrom = claimsReader(settings.contract, settings.maxLifetimeMs);
  const options = {
    audience: settings.audience,
    clockTolerance: CLOCK_TOLERANCE_MS / 1000,
    requiredClaims: ['sub', 'exp'],
    ...(settings.issuer === undefined ? {} : { issuer: settings.issuer }),
  };
  const verified = new VerifiedTokens();
  const verify = async (token: string) => {
    const known = verified.find(token);
    if (known !== undefined) return known;
    try {
      const principal = principalFrom(await verifySignature(wellFormed(token), options));
      verified.remember(token, principal);
      return principal;
    } catch (cause) {
      throw cause instanceof CourierError ? cause : notValid(tokenProblem(cause), cause);
    }
  };
  return { verify, known: (token) => verified.find(token), [Symbol.dispose]: () => verified[Symbol.dispose]() };
}

/**
 * The token, when it has the form of one: 8 KiB at most, three parts in base64url. Decoders take other spellings of the
 * same bytes too; each would be another token to whatever compares or counts them.
 *
 * @throws {CourierError} UNAUTHORIZED
 */
function wellFormed(token: string): string {
  if (token.length > MAX_TOKEN_BYTES) throw notValid(`it is longer than ${MAX_TOKEN_BYTES} bytes`);
  const parts = token.split('.');
  if (parts.length !== 3 || !parts.every(isBase64Url)) throw notValid('it is not a signed JWT');
  return token;
}

function isBase64Url(text: string): boolean {
  return text !== '' && Buffer.from(text, 'base64url').toString('base64url') === text;
}

function notValid(reason: string, cause?: unknown): CourierError {
  return new CourierError('UNAUTHORIZED', `the token is not valid: ${reason}`, { cause });
}

function tokenProblem(cause: unknown): string {
  if (cause instanceof errors.JWTExpired) return 'it has expired';
  if (cause instanceof errors.JWTClaimValidationFailed) return `claim ${cause.claim}: ${cause.reason.replaceAll('_', ' ')}`;
  if (cause instanceof errors.JOSEAlgNotAllowed) return 'its algorithm is not the one in use';
  if (cause instanceof errors.JOSENotSupported) return 'its header asks for what is not supported';
  if (cause instanceof errors.JWKSNoMatchingKey) return 'no key of the issuer fits it';
  if (cause instanceof errors.JWSSignatureVerificationFailed) return 'its signature does not match';
  if (cause instanceof z.ZodError)
    return cause.issues
      .slice(0, 1)
      .map(({ path, message }) => `claim ${path.join('.')}: ${message}`)
      .join();
  if (cause instanceof RangeError) return `claim subscribe or publish: ${cause.message}`;
  return 'it is not a signed JWT';
}

const BEARER = /^Bearer +(\S+)$/i;

/** The token in an `Authorization: Bearer` header. @throws {CourierError} UNAUTHORIZED when the header, or the token, has another form. */
export function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const token = BEARER.exec(header)?.[1];
  if (token === undefined) throw new CourierError('UNAUTHORIZED', 'the Authorization header must be: Bearer <token>');
  return wellFormed(token);
}

/** What a new token is to say. */
export interface TokenRequest extends Partial<Grants> {
  readonly sub: string;
  readonly role: Role;
  readonly expiresInSeconds: number;
  /** An id of its own, by which it can be revoked. */
  readonly jti?: string;
}

/** Signs a token. */
export function signToken(settings: TokenSettings, request: TokenRequest): Promise<string> {
  const { sub, role, subscribe, publish, expiresInSeconds } = request;
  const now = Math.floor(Date.now() / 1000);
  const token = new SignJWT({ role, ...(subscribe && { subscribe }), ...(publish && { publish }) })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(sub)
    .setAudience(settings.audience)
    .setIssuedAt(now)
    .setExpirationTime(now + expiresInSeconds);
  if (request.jti !== undefined) token.setJti(request.jti);
  if (settings.issuer !== undefined) token.setIssuer(settings.issuer);
  return token.sign(new TextEncoder().encode(settings.secret));
}

/** Where a caller may have put a token. */
export interface Credentials {
  /** The `Authorization` header. */
  readonly authorization?: string | undefined;
  /** A token from connection parameters or the query string. */
  readonly token?: string | undefined;
}

/** The principal of a call whose token was verified a moment ago. */
export function rememberedPrincipal(known: TokenVerifier['known'], { token, authorization }: Credentials): Principal | undefined {
  const given = token ?? (authorization === undefined ? undefined : BEARER.exec(authorization)?.[1]);
  return given === undefined ? undefined : known(given);
}

/** The principal of a call. @throws {CourierError} UNAUTHORIZED when there is no token or it is not valid. */
export async function authenticate(verify: VerifyToken, credentials: Credentials): Promise<Principal> {
  const token = credentials.token ?? bearerToken(credentials.authorization);
  if (token === undefined) throw new CourierError('UNAUTHORIZED', 'a token is required');
  return verify(token);
}
