/**
 * The tokens of the fuzzer's inputs. An input must follow from its seed, and a token from the clock: inputs have places of
 * the same length for tokens, which are filled in when they are sent.
 */
import { signToken } from '../../src/auth/tokens.ts';

export const SECRET = 'a-secret-for-fuzzing-of-at-least-32-bytes';
const DAY_SECONDS = 86_400;

function sign(expiresInSeconds: number): Promise<string> {
  return signToken({ secret: SECRET, audience: 'courier', issuer: undefined }, { sub: 'fuzz', role: 'admin', expiresInSeconds });
}

/** May publish and read everything, for a day. */
export const GOOD_TOKEN = await sign(DAY_SECONDS);

/** Stands for the good token. */
export const GOOD_PLACE = '{a-good-token}'.padEnd(GOOD_TOKEN.length, '_');
/** Stands for one that has a second left, at most. */
export const BRIEF_PLACE = '{a-brief-token}'.padEnd(GOOD_TOKEN.length, '_');

/** The bytes with tokens in their places. */
export async function withTokens(bytes: Buffer): Promise<Buffer> {
  if (!bytes.includes('{a-')) return bytes;
  const filled = Buffer.from(bytes);
  fill(filled, GOOD_PLACE, GOOD_TOKEN);
  if (filled.includes(BRIEF_PLACE)) fill(filled, BRIEF_PLACE, await sign(1));
  return filled;
}

function fill(bytes: Buffer, place: string, token: string): void {
  for (let at = bytes.indexOf(place); at >= 0; at = bytes.indexOf(place, at)) bytes.write(token, at, 'latin1');
}
