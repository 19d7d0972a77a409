/** An event is followed: spans for OpenTelemetry, trace context for subscribers, ids in the log. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { SpanStatusCode, trace } from '@opentelemetry/api';
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { afterEach, expect, test } from 'vitest';
import { connect } from '../faults/load.ts';
import { collect } from '../helpers/collect.ts';
import { startGateway, type TestGateway } from '../helpers/gateway.ts';
import { processToken, startProcess } from '../helpers/process.ts';
import { openSocket } from '../helpers/raw-socket.ts';
import { jobStarted } from '../helpers/samples.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';
const TRACEPARENT = `00-${TRACE}-${CALLER}-01`;
const DRAFT = jobStarted();

type Item = { data: { type: string; metadata: { traceparent?: string; correlation_id?: string } } };

/** Registers an SDK that keeps the spans, as an operator's would be, before the gateway starts. */
function record(): InMemorySpanExporter {
  const exporter = new InMemorySpanExporter();
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }));
  return exporter;
}

afterEach(() => trace.disable());

async function publishPlainly(gateway: TestGateway, headers: Record<string, string>, metadata: object = {}) {
  const response = await fetch(`${gateway.url}/publish`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await gateway.token('forge', 'service')}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ ...DRAFT, metadata }),
  });
  return { status: response.status, body: (await response.json()) as { id: string; detail?: string } };
}

const named = (spans: readonly ReadableSpan[], name: string) => spans.filter((span) => span.name === name);

test('spans of publish, append and deliver belong to the trace of the caller', async () => {
  const exporter = record();
  await using gateway = await startGateway();
  await using reader = gateway.webSocketClient(await gateway.token('reader', 'service'));
  using items = collect<Item>((observer) => reader.trpc.events.subscribe.subscribe({ channels: ['forge.**'] }, observer));
  using others = collect<Item>((observer) => reader.trpc.events.subscribe.subscribe({ channels: ['forge.job.j'] }, observer));
  await Promise.all([items.count(1), others.count(1)]);
  const { body } = await publishPlainly(gateway, { traceparent: TRACEPARENT, 'x-request-id': 'r-1', 'x-correlation-id': 'work-1' });
  await Promise.all([items.count(2), others.count(2)]);
  await expect.poll(() => exporter.getFinishedSpans().length).toBe(3);
  const [append] = named(exporter.getFinishedSpans(), 'append');
  const [publish] = named(exporter.getFinishedSpans(), 'publish forge.job.{id}');
  const [deliver] = named(exporter.getFinishedSpans(), 'deliver forge.job.{id}');
  for (const span of [append, publish, deliver]) expect(span?.spanContext().traceId).toBe(TRACE);
  expect(publish?.parentSpanContext).toMatchObject({ spanId: CALLER, isRemote: true });
  expect(append?.parentSpanContext?.spanId).toBe(publish?.spanContext().spanId);
  expect(deliver?.parentSpanContext?.spanId).toBe(CALLER);
  expect(publish?.attributes).toMatchObject({
    'messaging.system': 'courier',
    'messaging.destination.name': 'forge.job.j',
    'messaging.destination.template': 'forge.job.{id}',
    'messaging.message.id': body.id,
    'messaging.message.conversation_id': 'work-1',
    'courier.event.type': 'forge.job.started',
    'courier.request_id': 'r-1',
  });
  expect(deliver?.attributes).toMatchObject({
    'messaging.message.id': body.id,
    'messaging.message.conversation_id': 'work-1',
    'courier.subscribers': 2,
  });
});

test('spans of an event have the correlation id that it is given, whoever gives it', async () => {
  const exporter = record();
  await using gateway = await startGateway();
  await using client = gateway.webSocketClient(await gateway.token('forge', 'service'));
  using items = collect<Item>((observer) => client.trpc.forge.onJob.subscribe({ job_id: 'j' }, observer));
  await items.count(1);
  const { id } = await client.trpc.forge.publish.mutate(DRAFT);
  const caused = await client.trpc.forge.publish.mutate({ ...DRAFT, metadata: { causation_id: id } });
  const [later] = await client.trpc.events.publishEach.mutate([{ ...DRAFT, metadata: { causation_id: caused.id, correlation_id: 'own' } }]);
  await items.count(4);
  await expect.poll(() => exporter.getFinishedSpans().length).toBe(9);
  const correlations = (name: string) =>
    named(exporter.getFinishedSpans(), name).map(({ attributes }) => [
      attributes['messaging.message.id'],
      attributes['messaging.message.conversation_id'],
    ]);
  const expected = [
    [id, id],
    [caused.id, id],
    [(later as { id: string }).id, 'own'],
  ];
  expect(correlations('publish forge.job.{id}')).toEqual(expected);
  expect(correlations('deliver forge.job.{id}')).toEqual(expected);
});

test('without a context of the caller the events carry that of the span', async () => {
  const exporter = record();
  await using gateway = await startGateway();
  await using client = gateway.webSocketClient(await gateway.token('forge', 'service'));
  using items = collect<Item>((observer) => client.trpc.forge.onJob.subscribe({ job_id: 'j' }, observer));
  await items.count(1);
  await client.trpc.forge.publish.mutate(DRAFT);
  await client.trpc.events.publishBatch.mutate([DRAFT, { ...structuredClone(DRAFT), metadata: { traceparent: TRACEPARENT } }]);
  await items.count(4);
  await expect.poll(() => exporter.getFinishedSpans().length).toBe(7);
  const spans = exporter.getFinishedSpans();
  const [single] = named(spans, 'publish forge.job.{id}');
  const [batch] = named(spans, 'publish batch');
  const traceparentOf = (span: ReadableSpan | undefined) => `00-${span?.spanContext().traceId}-${span?.spanContext().spanId}-01`;
  expect(items.items.slice(1).map(({ data }) => data.metadata.traceparent)).toEqual([
    traceparentOf(single),
    traceparentOf(batch),
    TRACEPARENT,
  ]);
  expect(batch?.attributes['messaging.batch.message_count']).toBe(2);
  expect(batch?.links.map(({ context }) => context.spanId)).toEqual([CALLER]);
  const parents = named(spans, 'deliver forge.job.{id}').map((span) => span.parentSpanContext?.spanId);
  expect(parents).toEqual([single?.spanContext().spanId, batch?.spanContext().spanId, CALLER]);
});

test('several publishes in one call have a span each, as single ones', async () => {
  const exporter = record();
  await using gateway = await startGateway();
  await using client = gateway.webSocketClient(await gateway.token('bob', 'user', { publish: ['forge.job.*'] }));
  const keyed = { ...structuredClone(DRAFT), metadata: { traceparent: TRACEPARENT } };
  const refused = { ...structuredClone(DRAFT), channel: 'user.bob' } as const;
  const receipts = await client.trpc.events.publishEach.mutate([DRAFT, refused, keyed]);
  await expect.poll(() => exporter.getFinishedSpans().length).toBe(5);
  const spans = exporter.getFinishedSpans();
  const stored = named(spans, 'publish forge.job.{id}');
  expect(stored.map(({ attributes }) => attributes['messaging.message.id'])).toEqual(
    receipts.flatMap((receipt) => ('id' in receipt ? receipt.id : [])),
  );
  expect(stored.map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual([undefined, CALLER]);
  expect(
    named(spans, 'append')
      .map((span) => span.parentSpanContext?.spanId)
      .sort(),
  ).toEqual(stored.map((span) => span.spanContext().spanId).sort());
  expect(named(spans, 'publish').map(({ status }) => status.message)).toEqual(['user "bob" may not publish forge.job.started on user.bob']);
});

test('a publish that is refused ends its span with the reason', async () => {
  const exporter = record();
  await using gateway = await startGateway();
  await using user = gateway.webSocketClient(await gateway.token('ada'));
  await expect(user.trpc.events.publish.mutate(DRAFT)).rejects.toThrow();
  await using other = gateway.webSocketClient(await gateway.token('bob', 'user', { publish: ['user.bob'] }));
  await expect(other.trpc.events.publish.mutate(DRAFT)).rejects.toThrow();
  expect(exporter.getFinishedSpans().map(({ name, status }) => [name, status])).toEqual([
    ['publish', { code: SpanStatusCode.ERROR, message: 'user "ada" may not publish anything' }],
    ['publish', { code: SpanStatusCode.ERROR, message: 'user "bob" may not publish forge.job.started on forge.job.j' }],
  ]);
});

test('trace context comes in by header or metadata and goes out in metadata, over every transport', async () => {
  await using gateway = await startGateway();
  const token = await gateway.token('forge', 'service');
  await using plain = await openSocket(`${gateway.url.replace('http', 'ws')}/ws/**?token=${token}`);
  await plain.count(1);
  const other = `00-${TRACE}-${'1'.repeat(16)}-00`;
  expect((await publishPlainly(gateway, { traceparent: TRACEPARENT })).status).toBe(201);
  expect((await publishPlainly(gateway, { traceparent: TRACEPARENT }, { traceparent: other })).status).toBe(201);
  // The standard has a malformed header ignored; in the body it is an input like any other.
  for (const malformed of [
    'nonsense',
    `${TRACEPARENT}-more`,
    `ff-${TRACE}-${CALLER}-01`,
    `00-${'0'.repeat(32)}-${CALLER}-01`,
    'x'.repeat(5000),
  ])
    expect((await publishPlainly(gateway, { traceparent: malformed })).status).toBe(201);
  expect(await publishPlainly(gateway, {}, { traceparent: 'nonsense' })).toMatchObject({
    status: 400,
    body: { detail: expect.stringContaining('metadata.traceparent: must be a W3C traceparent') },
  });
  await fetch(`${gateway.url}/trpc/forge.publish`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', traceparent: TRACEPARENT },
    body: JSON.stringify({ json: DRAFT }),
  });
  await plain.count(9);
  const events = plain.messages.slice(1).map((text) => JSON.parse(text) as Item['data']);
  expect(events.map(({ metadata }) => metadata.traceparent)).toEqual([
    TRACEPARENT,
    other,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    TRACEPARENT,
  ]);
});

test('at level debug the log follows an event by its correlation id to its delivery, and at level info to its publication', async () => {
  await using gateway = await startProcess({ COURIER_LOG: 'memory:', COURIER_LOG_LEVEL: 'debug' });
  const lines: { message: string; request_id?: string; correlation_id?: string; context?: Record<string, unknown> }[] = [];
  createInterface({ input: gateway.child.stdout as Readable }).on('line', (line) => lines.push(JSON.parse(line)));
  await using client = connect(gateway.url, await processToken('forge', 'service'));
  using items = collect<Item>((observer) => client.trpc.events.subscribe.subscribe({ channels: ['forge.**'] }, observer));
  await items.count(1);
  const receipt = await client.trpc.forge.publish.mutate({ ...DRAFT, metadata: { correlation_id: 'work-7' } });
  await items.count(2);
  const ofEvent = () => lines.filter(({ correlation_id }) => correlation_id === 'work-7');
  await expect
    .poll(() =>
      ofEvent()
        .map(({ message }) => message)
        .sort(),
    )
    .toEqual(['delivered', 'published']);
  const [delivered, published] = ['delivered', 'published'].map((said) => ofEvent().find(({ message }) => message === said));
  const where = { id: receipt.id, channel: 'forge.job.j', type: 'forge.job.started' };
  expect(published).toMatchObject({
    request_id: expect.stringMatching(/^[0-9a-f-]{36}\/\d+$/),
    context: { ...where, source: 'forge', duplicate: false },
  });
  expect(delivered?.context).toEqual({ ...where, subscribers: 1 });
  await using admin = connect(gateway.url, await processToken('root', 'admin'));
  await admin.trpc.admin.setLogLevel.mutate({ level: 'info' });
  await client.trpc.forge.publish.mutate({ ...DRAFT, metadata: { correlation_id: 'work-8' } });
  await items.count(3);
  await gateway.end('SIGTERM');
  expect(lines.filter(({ correlation_id }) => correlation_id === 'work-8').map(({ message }) => message)).toEqual(['published']);
});

test('spans reach a collector by the script of the manual', { timeout: 60_000 }, async () => {
  const names: string[] = [];
  const collector = createServer((req, res) => {
    let body = '';
    req.on('data', (chunk) => {
      body += String(chunk);
    });
    req.on('end', () => {
      type Spans = { resourceSpans: { scopeSpans: { spans: { name: string; traceId: string }[] }[] }[] };
      for (const { scopeSpans } of (JSON.parse(body) as Spans).resourceSpans)
        for (const { spans } of scopeSpans) names.push(...spans.map(({ name, traceId }) => `${req.url} ${traceId} ${name}`));
      res.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  const { port } = collector.address() as AddressInfo;
  await using gateway = await startProcess({
    COURIER_LOG: 'memory:',
    NODE_OPTIONS: `--import=${new URL('../../scripts/monitoring/otlp.ts', import.meta.url)}`,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
  });
  await using client = connect(gateway.url, await processToken('forge', 'service'));
  await client.trpc.forge.publish.mutate({ ...DRAFT, metadata: { traceparent: TRACEPARENT } });
  expect(await gateway.end('SIGTERM')).toBe(0);
  collector.closeAllConnections();
  collector.close();
  expect(names.sort()).toEqual([`/v1/traces ${TRACE} append`, `/v1/traces ${TRACE} publish forge.job.{id}`]);
});
