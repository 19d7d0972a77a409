/** `courier publish`: one event from the command line, or many from a file or standard input, a JSON object a line. */
import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { draftUnion, EVENT_TYPES, type EventDraftInput, SERVICE_NAMES } from '../../src/contract/index.ts';
import { type ConnectionOptions, httpClient } from './connection.ts';
import { CliError, EXIT } from './errors.ts';
import { print, tell } from './output.ts';

export interface PublishOptions extends ConnectionOptions {
  readonly file?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly json?: boolean | undefined;
}

/** Events in one call. */
const BATCH = 100;
const PROGRESS_INTERVAL_MS = 100;
/** In place of data or a file. */
const STDIN = '-';
const FORMS = 'courier publish CHANNEL TYPE DATA, or CHANNEL TYPE and data as a JSON object a line, or whole events as lines';
const anyDraft = draftUnion(SERVICE_NAMES);

export async function publish(
  channel: string | undefined,
  type: string | undefined,
  data: string | undefined,
  options: PublishOptions,
): Promise<void> {
  checkArguments(channel, type, data, options);
  const trpc = await httpClient(options);
  if (data !== undefined && data !== STDIN) {
    const draft = toDraft({ channel, type, data: parse(data, 'data') }, options, options.idempotencyKey, 'data');
    await printReceipt(await trpc.events.publish.mutate(draft), options);
    return;
  }
  const started = performance.now();
  let published = 0;
  const input = await openInput(options);
  for await (const batch of batches(input, channel, type, options)) {
    for (const receipt of await withRetry(() => trpc.events.publishBatch.mutate(batch))) await printReceipt(receipt, options);
    published += batch.length;
    showProgress(published);
  }
  if (published === 0)
    throw usage(
      `nothing came ${options.file === undefined || options.file === STDIN ? 'on standard input' : `from ${options.file}`}: ${FORMS}`,
    );
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  tell(`published ${published} events in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

let lastShown = 0;
function showProgress(published: number): void {
  if (!process.stderr.isTTY || performance.now() - lastShown < PROGRESS_INTERVAL_MS) return;
  lastShown = performance.now();
  process.stderr.write(`\rpublished ${published} …`);
}

/** Refuses what would be taken for something else than was meant. @throws {CliError} */
function checkArguments(
  channel: string | undefined,
  type: string | undefined,
  data: string | undefined,
  { file, idempotencyKey }: PublishOptions,
): void {
  // Data where the type should be would have it wait for lines.
  const isTypeMissing = channel !== undefined && (type === undefined || /^\s*[{[]/.test(type));
  if (isTypeMissing) throw usage(`the event type is missing: ${FORMS}`);
  if (type !== undefined && !EVENT_TYPES.some((known) => known === type))
    throw usage(`${JSON.stringify(type)} is none of the event types: ${EVENT_TYPES.join(', ')}`);
  const isSingle = data !== undefined && data !== STDIN;
  if (isSingle && file !== undefined) throw usage('give data or --file, not both');
  if (!isSingle && idempotencyKey !== undefined) throw usage('--idempotency-key is for a single event; many get keys of their own');
}

function usage(message: string): CliError {
  return new CliError(message, EXIT.usage);
}

/** What lines are read from. @throws {CliError} when the file cannot be read. */
async function openInput({ file }: PublishOptions): Promise<Readable> {
  if (file === undefined || file === STDIN) {
    if (process.stdin.isTTY) tell('reading events from standard input, a JSON object a line; Ctrl-D ends it');
    return process.stdin;
  }
  try {
    const handle = await open(file);
    if ((await handle.stat()).isDirectory()) throw new CliError(`${file} cannot be read: it is a folder`);
    return handle.createReadStream();
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`${file} cannot be read: ${readProblem(error)}`);
  }
}

function readProblem(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'you may not read it';
  return error instanceof Error ? error.message : String(error);
}

/** Drafts from the input's lines. A line that is wrong stops it, with its number; what came before is published. */
async function* batches(
  input: Readable,
  channel: string | undefined,
  type: string | undefined,
  options: PublishOptions,
): AsyncGenerator<EventDraftInput[]> {
  const run = randomUUID();
  let batch: EventDraftInput[] = [];
  let number = 0;
  let failure: unknown;
  try {
    for await (const line of createInterface({ input })) {
      number += 1;
      if (line.trim() === '') continue;
      const value = parse(line, `line ${number}`);
      const fields = channel === undefined ? (value as Record<string, unknown>) : { channel, type, data: value };
      batch.push(toDraft(fields, options, `${run}-${number}`, `line ${number}`));
      if (batch.length === BATCH) {
        yield batch;
        batch = [];
      }
    }
  } catch (error) {
    failure = error;
  }
  if (batch.length > 0) yield batch;
  if (failure !== undefined) throw failure;
}

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CliError(`${where} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Checks against the contract before anything is sent, so that the message names the line. */
function toDraft(fields: Record<string, unknown>, options: PublishOptions, key: string | undefined, where: string): EventDraftInput {
  const metadata = options.correlationId === undefined ? undefined : { correlation_id: options.correlationId };
  const draft = { ...(metadata && { metadata }), ...(key && { idempotency_key: key }), ...fields };
  const checked = anyDraft.safeParse(draft);
  if (checked.success) return draft as EventDraftInput;
  const issues = checked.error.issues.map((issue) => `${issue.path.join('.') || 'event'}: ${issue.message}`);
  throw new CliError(`${where} is not a valid event: ${issues.join('; ')}`);
}

/** Every event has a key, so a batch whose answer was lost may be sent again. */
async function withRetry<T>(call: () => Promise<T>, attempts = 3): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const answered = error instanceof Error && 'data' in error && error.data !== undefined && error.data !== null;
    if (answered || attempts <= 1) throw error;
    return withRetry(call, attempts - 1);
  }
}

function printReceipt(receipt: { id: string; channel: string; type: string; duplicate: boolean }, { json }: PublishOptions): Promise<void> {
  return print(
    json ? JSON.stringify(receipt) : `${receipt.id} ${receipt.channel} ${receipt.type}${receipt.duplicate ? ' (duplicate)' : ''}`,
  );
}
