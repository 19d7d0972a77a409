/** Bytes of an answer, at most. */
export const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** All that comes, as text. @throws {RangeError} when it is more than MAX_ANSWER_BYTES; what the source throws. */
export async function boundedText(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<string> {
  const came: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    came.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new RangeError(`has more than ${MAX_ANSWER_BYTES} bytes`);
  }
  return Buffer.concat(came).toString();
}
