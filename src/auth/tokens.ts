/** Tokens: signing them for development and the CLI, and turning one into a Principal. */

import { createRemoteJWKSet, errors, type JWTVerifyOptions, type JWTVerifyResult, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import { ROLES, type Role } from '../contract/admin.ts';
import { CourierError } from '../errors.ts';
import { type Grants, type Principal, principalOf } from './principal.ts';

/** HS256 is no stronger than its secret (RFC 7518, section 3.2). */
export const MIN_SECRET_BYTES = 32;
/** How far the clocks of issuer and gateway may differ, in seconds. */
export const CLOCK_TOLERANCE_SECONDS = 5;
/** How many patterns a token may grant for each action. */
const MAX_GRANTS = 100;

/** With what tokens are signed. */
export interface TokenSettings {
  readonly secret: string;
  readonly audience: string;
  readonly issuer: string | undefined;
}

/** With what tokens are checked. */
export interface VerifierSettings {
  /** Secrets of HS256, any of which may have signed: several while one is replaced by another. */
  readonly secrets: readonly string[];
  /** Where public keys are to be had instead (RS256, ES256, EdDSA). */
  readonly jwksUrl?: string | undefined;
  readonly audience: string;
  readonly issuer: string | undefined;
}

const claims = z.object({
  sub: z.string().regex(/^[\x21-\x7e]{1,128}$/, { error: 'must be 1 to 128 printable ASCII characters' }),
  exp: z.number(),
  iat: z.number().optional(),
  jti: z.string().max(128).optional(),
  role: z.enum(ROLES).default('user'),
  subscribe: z.array(z.string()).max(MAX_GRANTS).default([]),
  publish: z.array(z.string()).max(MAX_GRANTS).default([]),
});

/**
 * Verifies a token. Resolves to who it speaks for; rejects with UNAUTHORIZED and a reason that may be shown, or with
 * SERVICE_UNAVAILABLE when the keys cannot be had.
 */
export type VerifyToken = (token: string) => Promise<Principal>;

/** Verified tokens that are remembered, at most, and for how long at most, in ms: a key that was withdrawn is noticed then. */
const REMEMBERED_TOKENS = 10_000;
const REMEMBERED_MS = 60_000;

export function tokenVerifier(settings: VerifierSettings): VerifyToken {
  const verifySignature = settings.jwksUrl === undefined ? bySecrets(settings.secrets) : byKeySet(settings.jwksUrl);
  const options = {
    audience: settings.audience,
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    requiredClaims: ['sub', 'exp'],
    ...(settings.issuer === undefined ? {} : { issuer: settings.issuer }),
  };
  const remembered = new Map<string, { readonly principal: Principal; readonly until: number }>();
  return async (token) => {
    const known = remembered.get(token);
    if (known !== undefined && Date.now() < known.until) return known.principal;
    remembered.delete(token);
    try {
      const { payload } = await verifySignature(token, options);
      const { sub, exp, iat, jti, role, subscribe, publish } = claims.parse(payload);
      const issued = { ...(iat !== undefined && { issuedAt: iat * 1000 }), ...(jti !== undefined && { jti }) };
      const principal = { ...principalOf(sub, role, { subscribe, publish }, exp * 1000), ...issued };
      remembered.set(token, { principal, until: Math.min(principal.expiresAt, Date.now() + REMEMBERED_MS) });
      // The oldest goes first.
      if (remembered.size > REMEMBERED_TOKENS) remembered.delete(remembered.keys().next().value as string);
      return principal;
    } catch (cause) {
      if (cause instanceof CourierError) throw cause;
      throw new CourierError('UNAUTHORIZED', `the token is not valid: ${reasonOf(cause)}`, { cause });
    }
  };
}

type VerifySignature = (token: string, options: JWTVerifyOptions) => Promise<JWTVerifyResult>;

function bySecrets(secrets: readonly string[]): VerifySignature {
  const keys = secrets.map((secret) => new TextEncoder().encode(secret));
  return async (token, options) => {
    for (const [index, key] of keys.entries()) {
      try {
        return await jwtVerify(token, key, { ...options, algorithms: ['HS256'] });
      } catch (error) {
        if (!(error instanceof errors.JWSSignatureVerificationFailed) || index === keys.length - 1) throw error;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  };
}

/** How long keys are used before they are asked for again, and how often they may be asked for, in ms. */
const KEYS_MAX_AGE_MS = 600_000;
const KEYS_COOL_DOWN_MS = 30_000;
const KEYS_TIMEOUT_MS = 5000;

function byKeySet(url: string): VerifySignature {
  const keys = createRemoteJWKSet(new URL(url), {
    cacheMaxAge: KEYS_MAX_AGE_MS,
    cooldownDuration: KEYS_COOL_DOWN_MS,
    timeoutDuration: KEYS_TIMEOUT_MS,
  });
  const keyFor: typeof keys = Object.assign(
    (async (header, token) => {
      try {
        return await keys(header, token);
      } catch (cause) {
        if (cause instanceof errors.JWKSNoMatchingKey || cause instanceof errors.JWKSMultipleMatchingKeys) throw cause;
        if (cause instanceof errors.JOSENotSupported) throw cause;
        // An outage is no fault of the token.
        throw new CourierError('SERVICE_UNAVAILABLE', 'the keys that check tokens cannot be had now', { retryAfterMs: 1000, cause });
      }
    }) as typeof keys,
    keys,
  );
  return (token, options) => jwtVerify(token, keyFor, { ...options, algorithms: ['RS256', 'ES256', 'EdDSA'] });
}

function reasonOf(cause: unknown): string {
  if (cause instanceof errors.JWTExpired) return 'it has expired';
  if (cause instanceof errors.JWTClaimValidationFailed) return `claim ${cause.claim}: ${cause.reason.replaceAll('_', ' ')}`;
  if (cause instanceof errors.JOSEAlgNotAllowed) return 'its algorithm is not the one in use';
  if (cause instanceof errors.JWKSNoMatchingKey) return 'no key of the issuer fits it';
  if (cause instanceof errors.JWSSignatureVerificationFailed) return 'its signature does not match';
  if (cause instanceof z.ZodError) return cause.issues.map((issue) => `claim ${issue.path.join('.')}: ${issue.message}`).join('; ');
  if (cause instanceof RangeError) return `claim subscribe or publish: ${cause.message}`;
  return 'it is not a signed JWT';
}

/** The token in an `Authorization: Bearer` header. @throws {CourierError} UNAUTHORIZED when the header has another form. */
export function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const match = /^Bearer +([^\s]+)$/i.exec(header);
  if (match === null) throw new CourierError('UNAUTHORIZED', 'the Authorization header must be: Bearer <token>');
  return match[1];
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

/** Who is calling. @throws {CourierError} UNAUTHORIZED when there is no token or it is not valid. */
export async function authenticate(verify: VerifyToken, credentials: Credentials): Promise<Principal> {
  const token = credentials.token ?? bearerToken(credentials.authorization);
  if (token === undefined) throw new CourierError('UNAUTHORIZED', 'a token is required');
  return verify(token);
}
