/** Tokens: signing them for development and the CLI, and turning one into a Principal. */
import { errors, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import { CourierError } from '../errors.ts';
import { type Grants, type Principal, principalOf, ROLES, type Role } from './principal.ts';

/** HS256 is no stronger than its secret (RFC 7518, section 3.2). */
export const MIN_SECRET_BYTES = 32;
/** How far the clocks of issuer and gateway may differ, in seconds. */
const CLOCK_TOLERANCE_SECONDS = 5;
/** How many patterns a token may grant for each action. */
const MAX_GRANTS = 100;

export interface TokenSettings {
  readonly secret: string;
  readonly audience: string;
  readonly issuer: string | undefined;
}

const claims = z.object({
  sub: z.string().regex(/^[\x21-\x7e]{1,128}$/, { error: 'must be 1 to 128 printable ASCII characters' }),
  exp: z.number(),
  role: z.enum(ROLES).default('user'),
  subscribe: z.array(z.string()).max(MAX_GRANTS).default([]),
  publish: z.array(z.string()).max(MAX_GRANTS).default([]),
});

/** Verifies a token. Resolves to who it speaks for; rejects with UNAUTHORIZED and a reason that may be shown. */
export type VerifyToken = (token: string) => Promise<Principal>;

export function tokenVerifier(settings: TokenSettings): VerifyToken {
  const key = new TextEncoder().encode(settings.secret);
  const options = {
    algorithms: ['HS256'],
    audience: settings.audience,
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    requiredClaims: ['sub', 'exp'],
    ...(settings.issuer === undefined ? {} : { issuer: settings.issuer }),
  };
  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, key, options);
      const { sub, exp, role, subscribe, publish } = claims.parse(payload);
      return principalOf(sub, role, { subscribe, publish }, exp * 1000);
    } catch (cause) {
      throw new CourierError('UNAUTHORIZED', `the token is not valid: ${reasonOf(cause)}`, { cause });
    }
  };
}

function reasonOf(cause: unknown): string {
  if (cause instanceof errors.JWTExpired) return 'it has expired';
  if (cause instanceof errors.JWTClaimValidationFailed) return `claim ${cause.claim}: ${cause.reason.replaceAll('_', ' ')}`;
  if (cause instanceof errors.JOSEAlgNotAllowed) return 'its algorithm is not the one in use';
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
