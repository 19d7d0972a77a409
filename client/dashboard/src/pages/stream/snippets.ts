/** The page's events and subscriptions as programs. Every value may hold anything, so it is quoted for its language. */
import type { ServedEvent } from '../../contract/served.ts';
import type { CodeIn } from '../../parts/code.tsx';
import { channelsOf, type StreamSearch } from './search.ts';

/** What a program has to know of the gateway. */
export interface Target {
  readonly url: string;
  /** Whether the gateway serves the contract that the client packages bring along. */
  readonly isPackaged: boolean;
}

/** Publishes an event with the same content. */
export function publishCode({ id, type, channel, data, metadata }: ServedEvent, target: Target): CodeIn {
  const { url } = target;
  const { causation_id, user_id } = metadata;
  // Where the event begins a piece of work, so does the one that is published.
  const correlation_id = metadata.correlation_id === id ? undefined : metadata.correlation_id;
  const given = {
    ...(correlation_id !== undefined && { correlation_id }),
    ...(causation_id !== undefined && { causation_id }),
    ...(user_id !== undefined && { user_id }),
  };
  const hasMetadata = Object.keys(given).length > 0;
  const body = JSON.stringify({ type, data, ...(hasMetadata && { metadata: given }) });
  const options = [
    ...(correlation_id === undefined ? [] : [`correlationId: ${js(correlation_id)}`]),
    ...(causation_id === undefined ? [] : [`causationId: ${js(causation_id)}`]),
    ...(user_id === undefined ? [] : [`userId: ${js(user_id)}`]),
  ];
  return {
    curl: [
      `curl --json ${shell(body)} \\`,
      `  -H "Authorization: Bearer $COURIER_TOKEN" \\`,
      `  ${shell(`${url}/publish/${encodeURIComponent(channel)}`)}`,
    ].join('\n'),
    typescript: [
      ...typescriptClient(target),
      `await courier.publish(${js(channel)}, ${js(type)}, ${js(data)}${options.length === 0 ? '' : `, { ${options.join(', ')} }`});`,
      'await courier.close();',
    ].join('\n'),
    python: [
      ...pythonImports(target, ['asyncio', 'json']),
      'async def main() -> None:',
      `    async with ${pythonClient(target)} as client:  # token: COURIER_TOKEN`,
      '        await client.publish(',
      `            channel=${python(channel)},`,
      `            event_type=${python(type)},`,
      `            data=json.loads(${python(JSON.stringify(data))}),`,
      ...(correlation_id === undefined ? [] : [`            correlation_id=${python(correlation_id)},`]),
      ...(causation_id === undefined ? [] : [`            causation_id=${python(causation_id)},`]),
      ...(user_id === undefined ? [] : [`            user_id=${python(user_id)},`]),
      '        )',
      '',
      'asyncio.run(main())',
    ].join('\n'),
  };
}

/** Subscribes to the events of a stream. */
export function subscribeCode({ channels, types, after }: StreamSearch, target: Target): CodeIn {
  const { url } = target;
  const list = channelsOf(channels);
  const query = new URLSearchParams({ ...(after !== undefined && { after }), ...(types !== undefined && { types: types.join(',') }) });
  const path = `/events/${encodeURIComponent(list.join(','))}`;
  const typescriptOptions = [
    "onGap: 'fail'",
    ...(types === undefined ? [] : [`types: ${js(types)}`]),
    ...(after === undefined ? [] : [`lastEventId: ${js(after)}`]),
  ];
  const pythonOptions = [
    'on_gap="fail"',
    ...(types === undefined ? [] : [`types=${python(types)}`]),
    ...(after === undefined ? [] : [`last_event_id=${python(after)}`]),
  ];
  return {
    curl: [
      '# One page of what was published; ws:// and /ws/ instead of /events/ gives what comes, over a WebSocket.',
      `curl -H "Authorization: Bearer $COURIER_TOKEN" ${shell(`${url}${path}${query.size === 0 ? '' : `?${query}`}`)}`,
    ].join('\n'),
    typescript: [
      ...typescriptClient(target),
      `for await (const event of courier.subscribe(${js(list.length === 1 ? list[0] : list)}, { ${typescriptOptions.join(', ')} })) {`,
      '  console.log(event.id, event.type, event.data);',
      '}',
    ].join('\n'),
    python: [
      ...pythonImports(target, ['asyncio']),
      'async def main() -> None:',
      `    async with ${pythonClient(target)} as client:  # token: COURIER_TOKEN`,
      `        async for event in client.subscribe(${python(list.length === 1 ? list[0] : list)}, ${pythonOptions.join(', ')}):`,
      '            print(event.id, event.type, event.data)',
      '',
      'asyncio.run(main())',
    ].join('\n'),
  };
}

function typescriptClient({ url, isPackaged }: Target): string[] {
  const token = "token: process.env.COURIER_TOKEN ?? ''";
  if (isPackaged)
    return [
      "import { CourierClient } from '@lumiere/courier-client';",
      '',
      `const courier = new CourierClient({ url: ${js(url)}, ${token} });`,
    ];
  return [
    "import { CourierClient } from '@lumiere/courier-client';",
    '// Written by: courier contract export --format typescript --output events.ts',
    "import { CONTRACT_HASH, type Contract } from './events.ts';",
    '',
    `const courier = new CourierClient<Contract>({ url: ${js(url)}, ${token}, contractHash: CONTRACT_HASH });`,
  ];
}

function pythonImports({ isPackaged }: Target, standard: readonly string[]): string[] {
  const own = isPackaged ? [] : ["import contract  # the module that is generated from the gateway's contract"];
  return [...standard.map((name) => `import ${name}`), '', ...own, 'from courier_client import CourierClient', ''];
}

function pythonClient({ url, isPackaged }: Target): string {
  return `CourierClient(base_url=${python(url)}${isPackaged ? '' : ', contract=contract'})`;
}

/** In single quotes a shell interprets nothing. */
function shell(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** JSON is JavaScript. */
function js(value: unknown): string {
  return JSON.stringify(value);
}

/** JSON strings, and lists of them, are Python, except for lone surrogates, which become replacement characters. */
function python(value: unknown): string {
  return JSON.stringify(value).replace(/\p{Surrogate}/gu, '\\ufffd');
}
