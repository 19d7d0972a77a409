/** Which of several channels is refused: what is wrong is named, and nothing else is blamed. */
import { describe, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { openSocket } from '../helpers/raw-socket.ts';

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly paths: readonly string[] | undefined;
}
/** Asks for channels, as a user who may read `global` and `user.ada`. */
type Surface = (gateway: TestGateway, channels: readonly string[]) => Promise<Refusal>;

interface TrpcError {
  readonly message: string;
  readonly data: { readonly code: string; readonly issues?: readonly { readonly path: string }[] };
}
const refusalOf = ({ message, data: { code, issues } }: TrpcError): Refusal => ({ code, message, paths: issues?.map(({ path }) => path) });

/** @param input beside the channels. */
function trpc(type: 'query' | 'subscription', path: string, input: object): readonly Surface[] {
  const overWebSocket: Surface = async (gateway, channels) => {
    const headers = { authorization: `Bearer ${await gateway.token('ada')}` };
    await using socket = await openSocket(`${gateway.url.replace('http', 'ws')}/trpc`, { headers });
    socket.send({ id: 1, method: type, params: { path, input: { json: { channels, ...input } } } });
    const [answer = ''] = await socket.count(1);
    return refusalOf((JSON.parse(answer) as { error: { json: TrpcError } }).error.json);
  };
  const overHttp: Surface = async (gateway, channels) => {
    const query = new URLSearchParams({ input: JSON.stringify({ json: { channels, ...input } }) });
    const headers = { authorization: `Bearer ${await gateway.token('ada')}` };
    const text = await (await fetch(`${gateway.url}/trpc/${path}?${query}`, { headers })).text();
    const json = type === 'query' ? text : (/event: serialized-error\ndata: (.*)/.exec(text)?.[1] ?? '');
    const answer = JSON.parse(json) as { error?: { json: TrpcError }; json?: TrpcError };
    return refusalOf((answer.error?.json ?? answer.json) as TrpcError);
  };
  return [overWebSocket, overHttp];
}

function plain(prefix: string): Surface {
  return async (gateway, channels) => {
    const headers = { authorization: `Bearer ${await gateway.token('ada')}` };
    const answer = await fetch(`${gateway.url}${prefix}${channels.join()}`, { headers });
    const { code, detail, issues } = (await answer.json()) as { code: string; detail: string; issues?: { path: string }[] };
    return { code, message: detail, paths: issues?.map(({ path }) => path) };
  };
}

const SURFACES: readonly (readonly [name: string, ask: Surface, isList: boolean])[] = [
  ...(
    [
      ['events.subscribe', 'subscription', {}],
      ['events.history', 'query', {}],
      ['state.get', 'query', { entities: ['order'] }],
      ['state.watch', 'subscription', { entities: ['order'] }],
    ] as const
  ).flatMap(([path, type, input]) => {
    const [overWebSocket, overHttp] = trpc(type, path, input) as [Surface, Surface];
    return [[`${path} over WebSocket`, overWebSocket, true] as const, [`${path} over HTTP`, overHttp, true] as const];
  }),
  ['GET /events', plain('/events/'), false],
  ['GET /state', plain('/state/'), false],
  ['GET /sse', plain('/sse/'), false],
];

describe.each(SURFACES)('%s', (_name, ask, isList) => {
  test.each([
    ['xx..y', /"xx\.\.y" is neither a channel nor a pattern/],
    ['trades.*', /"trades\.\*" can match no channel/],
    ['', /"" is neither a channel nor a pattern/],
  ])('names the place of the channel that is none: %j', async (channel, sentence) => {
    await using gateway = await startGateway();
    expect(await ask(gateway, ['global', channel, 'user.ada', 'a..b'])).toEqual({
      code: 'BAD_REQUEST',
      message: expect.stringMatching(sentence),
      paths: [isList ? 'channels.1' : 'channels'],
    });
  });

  test('names those that may not be read, and none that may', async () => {
    await using gateway = await startGateway();
    const refused = isList ? 'user.bob, strategy.*' : 'user.bob';
    expect(await ask(gateway, ['user.ada', 'user.bob', 'global', 'strategy.*', 'user.ada'])).toEqual({
      code: 'FORBIDDEN',
      message: `user "ada" may not subscribe to ${refused}`,
      paths: undefined,
    });
  });
});
