/** Makes an idempotency key: all attempts of one publish carry the same. */
export function randomKey(): string {
  // crypto.randomUUID is not there in pages that were not served over HTTPS.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
