/** The page's events and subscriptions as programs. Every value may hold anything, so it is quoted for its language. */
import type { CourierEvent } from '@lumiere/courier-client';
import type { CodeIn } from '../../parts/code.tsx';
import { channelsOf, type StreamSearch } from './search.ts';

/** Publishes an event with the same content. */
export function publishCode({ type, channel, data, metadata }: CourierEvent, url: string): CodeIn {
  const { correlation_id, user_id } = metadata;
  const given = { ...(correlation_id !== undefined && { correlation_id }), ...(user_id !== undefined && { user_id }) };
  const hasMetadata = Object.keys(given).length > 0;
  const body = JSON.stringify({ type, data, ...(hasMetadata && { metadata: given }) });
  const options = [
    ...(correlation_id === undefined ? [] : [`correlationId: ${js(correlation_id)}`]),
    ...(user_id === undefined ? [] : [`userId: ${js(user_id)}`]),
  ];
  return {
    curl: [
      `curl --json ${shell(body)} \\`,
      `  -H "Authorization: Bearer $COURIER_TOKEN" \\`,
      `  ${shell(`${url}/publish/${encodeURIComponent(channel)}`)}`,
    ].join('\n'),
    typescript: [
      ...typescriptClient(url),
      `await courier.publish(${js(channel)}, ${js(type)}, ${js(data)}${options.length === 0 ? '' : `, { ${options.join(', ')} }`});`,
      'await courier.close();',
    ].join('\n'),
    python: [
      ...PYTHON_IMPORTS,
      'async def main() -> None:',
      `    async with CourierClient(base_url=${python(url)}) as client:  # token: COURIER_TOKEN`,
      '        await client.publish(',
      `            channel=${python(channel)},`,
      `            event_type=${python(type)},`,
      `            data=json.loads(${python(JSON.stringify(data))}),`,
      ...(correlation_id === undefined ? [] : [`            correlation_id=${python(correlation_id)},`]),
      ...(user_id === undefined ? [] : [`            user_id=${python(user_id)},`]),
      '        )',
      '',
      'asyncio.run(main())',
    ].join('\n'),
  };
}

/** Subscribes to the events of a stream. */
export function subscribeCode({ channels, types, after }: StreamSearch, url: string): CodeIn {
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
      ...typescriptClient(url),
      `for await (const event of courier.subscribe(${js(list.length === 1 ? list[0] : list)}, { ${typescriptOptions.join(', ')} })) {`,
      '  console.log(event.id, event.type, event.data);',
      '}',
    ].join('\n'),
    python: [
      ...PYTHON_IMPORTS.filter((line) => line !== 'import json'),
      'async def main() -> None:',
      `    async with CourierClient(base_url=${python(url)}) as client:  # token: COURIER_TOKEN`,
      `        async for event in client.subscribe(${python(list.length === 1 ? list[0] : list)}, ${pythonOptions.join(', ')}):`,
      '            print(event.id, event.type, event.data)',
      '',
      'asyncio.run(main())',
    ].join('\n'),
  };
}

function typescriptClient(url: string): string[] {
  return [
    "import { CourierClient } from '@lumiere/courier-client';",
    '',
    `const courier = new CourierClient({ url: ${js(url)}, token: process.env.COURIER_TOKEN ?? '' });`,
  ];
}

const PYTHON_IMPORTS = ['import asyncio', 'import json', '', 'from courier_client import CourierClient', ''];

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
