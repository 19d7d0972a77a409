/** `courier publish`: one event from the command line, or many from a file or standard input, a JSON object a line. */
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { draftUnion, type EventDraftInput, SERVICE_NAMES } from '../../src/contract/index.ts';
import { CliError, type ConnectionOptions, httpClient } from './connection.ts';
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
const anyDraft = draftUnion(SERVICE_NAMES);

export async function publish(
  channel: string | undefined,
  type: string | undefined,
  data: string | undefined,
  options: PublishOptions,
): Promise<void> {
  const many = options.file !== undefined || data === undefined || data === '-';
  const trpc = await httpClient(options);
  if (!many) {
    const draft = toDraft({ channel, type, data: parse(data, 'data') }, options, options.idempotencyKey, 'data');
    await printReceipt(await trpc.events.publish.mutate(draft), options);
    return;
  }
  if (options.idempotencyKey !== undefined) throw new CliError('--idempotency-key is for a single event; many get keys of their own');
  const started = performance.now();
  let published = 0;
  for await (const batch of batches(channel, type, options)) {
    for (const receipt of await withRetry(() => trpc.events.publishBatch.mutate(batch))) await printReceipt(receipt, options);
    published += batch.length;
    showProgress(published);
  }
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  tell(`published ${published} events in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

let lastShown = 0;
function showProgress(published: number): void {
  if (!process.stderr.isTTY || performance.now() - lastShown < PROGRESS_INTERVAL_MS) return;
  lastShown = performance.now();
  process.stderr.write(`\rpublished ${published} …`);
}

/** Drafts from the input's lines. A line that is wrong stops it, with its number; what came before is published. */
async function* batches(channel: string | undefined, type: string | undefined, options: PublishOptions): AsyncGenerator<EventDraftInput[]> {
  const input = options.file === undefined || options.file === '-' ? process.stdin : createReadStream(options.file);
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
