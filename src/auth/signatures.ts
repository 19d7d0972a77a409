/** Checking a token's signature and the claims of every JWT, with secrets or with keys that are published at an address. */
import {
  createRemoteJWKSet,
  type ExportedJWKSCache,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwksCache,
  jwtVerify,
} from 'jose';
import { CourierError } from '../errors.ts';

/** The token names a key that its issuer has not published, or did so after the keys were last asked for. */
export class UnknownKeyError extends CourierError {
  constructor(retryAfterMs: number, cause: unknown) {
    const message = 'the key that checks this token is not known yet: keys were asked for a moment ago';
    super('SERVICE_UNAVAILABLE', message, { retryAfterMs, cause });
  }
}

/**
 * Resolves to what a token says, once its signature and times are checked.
 *
 * @throws {CourierError} SERVICE_UNAVAILABLE when its key cannot be had now; an error of jose's when it is not valid.
 */
export type VerifySignature = (token: string, options: JWTVerifyOptions) => Promise<JWTPayload>;

/** With HS256 and any of `secrets`. */
export function bySecrets(secrets: readonly string[]): VerifySignature {
  const keys = secrets.map((secret) => new TextEncoder().encode(secret));
  return (token, options) => withAny(keys, (key) => jwtVerify(token, key, { ...options, algorithms: ['HS256'] }));
}

/** How long keys are used before they are asked for again, and how often they may be asked for, in ms. */
const KEYS_MAX_AGE_MS = 600_000;
const KEYS_COOL_DOWN_MS = 30_000;
const KEYS_TIMEOUT_MS = 5000;
/** When to come back after an outage, in ms. */
const OUTAGE_RETRY_MS = 1000;

/** With the keys that are published at `url`. */
export function byKeySet(url: string): VerifySignature {
  const keyFor = publishedKeys(url);
  return async (token, options) => {
    const pinned = { ...options, algorithms: ['RS256', 'ES256', 'EdDSA'] };
    try {
      return (await jwtVerify(token, keyFor, pinned)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
      // The token does not say which of the keys of its algorithm signed it.
      return withAny(error, (key) => jwtVerify(token, key, pinned));
    }
  };
}

function publishedKeys(url: string): JWTVerifyGetKey {
  // Written to by jose: what the address gave, and when.
  const cache: Partial<ExportedJWKSCache> = {};
  const keys = createRemoteJWKSet(new URL(url), {
    cacheMaxAge: KEYS_MAX_AGE_MS,
    cooldownDuration: KEYS_COOL_DOWN_MS,
    timeoutDuration: KEYS_TIMEOUT_MS,
    [jwksCache]: cache as ExportedJWKSCache,
  });
  return async (header, token) => {
    const retryAfterMs = (cache.uat ?? 0) + KEYS_COOL_DOWN_MS - Date.now();
    try {
      return await keys(header, token);
    } catch (cause) {
      if (cause instanceof errors.JWKSMultipleMatchingKeys || cause instanceof errors.JOSENotSupported) throw cause;
      if (!(cause instanceof errors.JWKSNoMatchingKey)) {
        // An outage is no fault of the token.
        throw new CourierError('SERVICE_UNAVAILABLE', 'the keys that check tokens cannot be had now', {
          retryAfterMs: OUTAGE_RETRY_MS,
          cause,
        });
      }
      // Outside of the cool-down the keys were asked for just now.
      throw retryAfterMs <= 0 ? cause : new UnknownKeyError(retryAfterMs, cause);
    }
  };
}

/** What `verify` gives for the first of `keys` whose signature it is. */
async function withAny<K>(
  keys: Iterable<K> | AsyncIterable<K>,
  verify: (key: K) => Promise<{ readonly payload: JWTPayload }>,
): Promise<JWTPayload> {
  for await (const key of keys) {
    try {
      return (await verify(key)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    }
  }
  throw new errors.JWSSignatureVerificationFailed();
}
