/** HTTP as bytes, for what no client of HTTP would send. */
import { connect } from 'node:net';

/** Sends bytes, and others once something has come. Resolves to all that comes before the gateway ends the socket, in whatever way. */
export async function exchange({ port }: { readonly port: number }, bytes: string, later?: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => undefined);
  socket.write(bytes);
  if (later !== undefined) socket.once('data', () => socket.write(later));
  let received = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    received += text;
  });
  await new Promise((resolve) => socket.once('close', resolve));
  return received;
}

export interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** The answers in bytes that came. */
export function answersIn(bytes: string): Answer[] {
  const answers: Answer[] = [];
  for (let rest = bytes; rest !== ''; ) {
    const head = rest.slice(0, rest.indexOf('\r\n\r\n') + 4);
    const isChunked = /^transfer-encoding: chunked/im.test(head);
    const length = isChunked ? rest.indexOf('0\r\n\r\n', head.length) + 5 - head.length : Number(headerIn({ head }, 'content-length') ?? 0);
    const body = rest.slice(head.length, head.length + length);
    // None of them has more than one chunk.
    answers.push({
      status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]),
      head,
      body: isChunked ? (body.split('\r\n')[1] as string) : body,
    });
    rest = rest.slice(head.length + length);
  }
  return answers;
}

export function headerIn({ head }: Pick<Answer, 'head'>, name: string): string | undefined {
  return new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1];
}
