import type { IncomingMessage } from 'node:http';

/** The path of a request, as the client wrote it: never its query, which may have a token in it. */
export function pathOf({ url = '' }: Pick<IncomingMessage, 'url'>): string {
  return url.split('?', 1)[0] as string;
}
