/** The plain HTTP surface, for `curl` and clients without tRPC: publish, replay, health, stats, backup. */
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import type { Administration } from '../administration.ts';
import type { Principal } from '../auth/principal.ts';
import type { Timings } from '../connections/timings.ts';
import type { Health } from '../contract/admin.ts';
import { asyncApiDocument } from '../contract/asyncapi.ts';
import type { Contract } from '../contract/contract.ts';
import { contractDocument } from '../contract/document.ts';
import { callerToken } from '../contract/draft.ts';
import { parsePosition } from '../contract/position.ts';
import type { Receipt } from '../contract/types.ts';
import { CourierError, invalidField, validated } from '../errors.ts';
import { history } from '../history.ts';
import type { LimitedAction } from '../limits/limits.ts';
import { isServing } from '../observe/health.ts';
import type { Logger } from '../observe/logger.ts';
import { authorise, publish } from '../publish.ts';
import { readState } from '../read-state.ts';
import { plainText } from '../router/serialize.ts';
import type { Served } from '../state/served.ts';
import { MAX_TRACE_LIMIT, trace } from '../trace.ts';
import { contractHash, VERSION } from '../version.ts';
import { sendCopy } from './backup.ts';
import { credentialsOf, identityOf } from './caller.ts';
import { UPGRADE_REQUIRED } from './handshake.ts';
import { headerOf, readJson, requireMethod, sendJson, traceparentFrom } from './http-exchange.ts';
import type { RoutedExchange } from './http-requests.ts';
import { plainHistoryRequest, plainStateRequest } from './plain-address.ts';
import { parametersIn } from './query.ts';
import { tellAllowances } from './rate-headers.ts';
import { decodeSegment } from './request-target.ts';

export interface PlainHttpDeps {
  readonly pipeline: Served;
  readonly health: () => Promise<Health>;
  readonly administration: Administration;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly logger: Logger;
  readonly timings: Timings;
}

type Handler = (deps: PlainHttpDeps, exchange: RoutedExchange, rest: string | undefined) => Promise<void>;

/** First segment of the path -> method -> handler. */
const ROUTES: Readonly<Record<string, Readonly<Record<string, Handler>>>> = {
  publish: { POST: handlePublish },
  events: { GET: handleHistory },
  state: { GET: handleState },
  trace: { GET: handleTrace },
  health: { GET: handleHealth },
  livez: { GET: handleLiveness },
  readyz: { GET: handleHealth },
  stats: { GET: handleStats },
  backup: { GET: handleBackup },
  metrics: { GET: handleMetrics },
  'contract.json': { GET: handleContract },
  'asyncapi.json': { GET: handleAsyncApi },
  ws: { GET: refuseWithoutUpgrade },
  trpc: { GET: refuseWithoutUpgrade },
  '': { GET: handleRoot },
};

/** Those whose path may have a second segment: a channel, a list of them, or an id. */
const TAKE_MORE: ReadonlySet<string> = new Set(['publish', 'events', 'state', 'trace', 'ws']);

/** Answers one request. @throws {CourierError} for everything that is to be answered with a problem document. */
export function handlePlainHttp(deps: PlainHttpDeps, exchange: RoutedExchange): Promise<void> {
  const [, name = '', ...rest] = exchange.target.path.split('/');
  const methods = Object.hasOwn(ROUTES, name) ? ROUTES[name] : undefined;
  if (methods === undefined || rest.length > (TAKE_MORE.has(name) ? 1 : 0))
    throw new CourierError('NOT_FOUND', 'there is nothing at this path');
  requireMethod(exchange.req, exchange.res, Object.keys(methods));
  const handler = methods[exchange.req.method as string] as Handler;
  return handler(deps, exchange, rest[0] === undefined ? undefined : decodeSegment(rest[0]));
}

/** Who calls, once the call has been charged. */
async function caller({ req, connection }: RoutedExchange, action: LimitedAction): Promise<Principal> {
  const principal = await connection.open(credentialsOf(req), identityOf(req));
  const charged = connection.charge(action);
  if (charged !== undefined) await charged;
  return principal;
}

async function handlePublish({ pipeline }: PlainHttpDeps, exchange: RoutedExchange, channel: string | undefined): Promise<void> {
  const { req, res, requestId, connection } = exchange;
  const call = { connection, requestId, traceparent: traceparentFrom(req) };
  let receipts: Receipt[];
  try {
    await caller(exchange, 'publish');
    authorise(pipeline, call, []);
    const draft = draftFrom(req, await readJson(req, connection), channel);
    authorise(pipeline, call, [draft]);
    receipts = await publish(pipeline, call, [validated(pipeline.contract.draft, draft)]);
  } finally {
    tellAllowances(res, connection);
  }
  sendJson(res, 201, plainText(receipts[0]));
}

/** What is to be published: the body, and what the address and the headers say where it is silent. */
function draftFrom(req: IncomingMessage, body: unknown, channel: string | undefined): object {
  if (!isObject(body)) throw new CourierError('BAD_REQUEST', 'the body must be a JSON object');
  fill(body, '', 'channel', channel, 'the path');
  fill(body, '', 'type', headerOf(req, 'x-event-type'), 'X-Event-Type');
  fill(body, '', 'idempotency_key', headerOf(req, 'idempotency-key'), 'Idempotency-Key');
  const [correlationId, causationId] = [headerOf(req, 'x-correlation-id'), headerOf(req, 'x-causation-id')];
  if (correlationId === undefined && causationId === undefined) return body;
  const { metadata = {} } = body;
  if (!isObject(metadata)) throw invalidField('metadata', 'must be a JSON object');
  fill(metadata, 'metadata.', 'correlation_id', correlationId, 'X-Correlation-Id');
  fill(metadata, 'metadata.', 'causation_id', causationId, 'X-Causation-Id');
  return { ...body, metadata };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Puts `value`, which came from elsewhere, into a field of the body; both may be given when they agree. */
function fill(object: Record<string, unknown>, path: string, field: string, value: string | undefined, source: string): void {
  if (value === undefined) return;
  if (object[field] !== undefined && object[field] !== value) throw invalidField(path + field, `differs from ${source}`);
  object[field] = value;
}

async function handleHistory(deps: PlainHttpDeps, exchange: RoutedExchange, channels: string | undefined): Promise<void> {
  const principal = await caller(exchange, 'query');
  if (channels === undefined) throw new CourierError('NOT_FOUND', 'name channels or patterns: /events/{channel},{pattern}');
  const request = plainHistoryRequest(deps.pipeline.contract, principal, channels, exchange.target);
  const page = await history(deps.pipeline, exchange.connection, request, exchange.connection.signal);
  const { events, ...rest } = page;
  const text = `{"events":[${events.map((delivery) => delivery.json).join(',')}],${JSON.stringify(rest).slice(1)}`;
  // A client whose connection has ended meanwhile is told nothing.
  exchange.connection.assertOpen();
  exchange.connection.reserve(Buffer.byteLength(text));
  sendJson(exchange.res, 200, text);
}

async function handleState(deps: PlainHttpDeps, exchange: RoutedExchange, channels: string | undefined): Promise<void> {
  const { connection } = exchange;
  const principal = await caller(exchange, 'query');
  if (channels === undefined) throw new CourierError('NOT_FOUND', 'name channels or patterns: /state/{channel},{pattern}');
  const request = plainStateRequest(deps.pipeline.contract, principal, channels, exchange.target);
  const { items, ...rest } = await readState(deps.pipeline, connection, request, connection.signal);
  const text = `{"items":[${items.map((delivery) => delivery.json).join(',')}],${JSON.stringify(rest).slice(1)}`;
  connection.assertOpen();
  connection.reserve(Buffer.byteLength(text));
  sendJson(exchange.res, 200, text);
}

const traceQuery = z.strictObject({
  after: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(MAX_TRACE_LIMIT).optional(),
});

async function handleTrace({ pipeline }: PlainHttpDeps, exchange: RoutedExchange, id: string | undefined): Promise<void> {
  const { connection } = exchange;
  await caller(exchange, 'query');
  if (id === undefined) throw new CourierError('NOT_FOUND', 'name an event or a piece of work: /trace/{id}, /trace/{correlation_id}');
  const query = validated(traceQuery, Object.fromEntries(parametersIn(exchange.target)));
  const named =
    parsePosition(id) === undefined
      ? { correlation_id: validated(z.strictObject({ correlation_id: callerToken }), { correlation_id: id }).correlation_id }
      : { id };
  const { correlation_id, steps, ...rest } = await trace(pipeline, connection, { ...named, ...query }, connection.signal);
  const told = steps.map(({ event, ...times }) => `{"event":${event.json},${JSON.stringify(times).slice(1)}`);
  const text = `{"correlation_id":${JSON.stringify(correlation_id)},"steps":[${told.join(',')}],${JSON.stringify(rest).slice(1)}`;
  connection.assertOpen();
  connection.reserve(Buffer.byteLength(text));
  sendJson(exchange.res, 200, text);
}

async function handleHealth(deps: PlainHttpDeps, exchange: RoutedExchange): Promise<void> {
  const health = await deps.health();
  sendJson(exchange.res, isServing(health.status) ? 200 : 503, JSON.stringify(health));
}

async function handleMetrics(deps: PlainHttpDeps, { res, requestId }: RoutedExchange): Promise<void> {
  const { contentType, text } = await deps.metrics();
  res.writeHead(200, { 'content-type': contentType, 'x-request-id': requestId }).end(text);
}

/** By contract: what is served of it does not change. */
const documents = new WeakMap<Contract, { readonly contract: string; readonly asyncApi: string }>();

function documentsOf(contract: Contract): { readonly contract: string; readonly asyncApi: string } {
  const known = documents.get(contract);
  if (known !== undefined) return known;
  const document = contractDocument(contract);
  const edition = { version: VERSION, contractHash: contractHash(contract) };
  const made = { contract: JSON.stringify(document), asyncApi: JSON.stringify(asyncApiDocument(document, edition)) };
  documents.set(contract, made);
  return made;
}

function handleContract({ pipeline }: PlainHttpDeps, exchange: RoutedExchange): Promise<void> {
  sendJson(exchange.res, 200, documentsOf(pipeline.contract).contract);
  return Promise.resolve();
}

function handleAsyncApi({ pipeline }: PlainHttpDeps, exchange: RoutedExchange): Promise<void> {
  sendJson(exchange.res, 200, documentsOf(pipeline.contract).asyncApi);
  return Promise.resolve();
}

function handleLiveness(_deps: PlainHttpDeps, exchange: RoutedExchange): Promise<void> {
  sendJson(exchange.res, 200, '{"status":"alive"}');
  return Promise.resolve();
}

function refuseWithoutUpgrade(): Promise<never> {
  return Promise.reject(UPGRADE_REQUIRED);
}

/** Leads people to the dashboard, and tells programs what there is. */
async function handleRoot(_deps: PlainHttpDeps, { req, res, target }: RoutedExchange): Promise<void> {
  const isBrowser = target.path === '/' && headerOf(req, 'accept')?.includes('text/html');
  // Relative, so that it holds behind a proxy that puts a path in front.
  if (isBrowser) res.writeHead(302, { location: 'admin/', 'cache-control': 'no-store' }).end();
  else throw new CourierError('NOT_FOUND', 'there is nothing at this path: /admin/ has the dashboard, /asyncapi.json what can be called');
}

async function handleStats(deps: PlainHttpDeps, exchange: RoutedExchange): Promise<void> {
  const principal = await caller(exchange, 'query');
  if (principal.role === 'user') throw new CourierError('FORBIDDEN', 'statistics are for services and admins');
  const stats = await deps.administration.stats();
  exchange.connection.assertOpen();
  sendJson(exchange.res, 200, JSON.stringify(stats));
}

async function handleBackup({ pipeline, logger, timings }: PlainHttpDeps, exchange: RoutedExchange): Promise<void> {
  const { sub, role } = await caller(exchange, 'query');
  if (role !== 'admin') throw new CourierError('FORBIDDEN', 'backups are for admins');
  const about = { user_id: sub, request_id: exchange.requestId };
  const ofLog = logger.named('log');
  const onCopied = (bytes: number) => ofLog.info('a backup was made, and is being sent', { ...about, bytes });
  const bytes = await sendCopy(pipeline.log, { ...exchange, timings, onCopied });
  ofLog.info('a backup was sent', { ...about, bytes });
}
