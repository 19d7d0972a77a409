/** `courier publish`: one event from the command line, or many from a file or standard input, a JSON object a line. */
import { randomUUID } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { TRPCClientError } from '@trpc/client';
import type { EventDraft } from '../../src/contracts/lumiere/contract.ts';
import { type ConnectionOptions, httpClient } from './connection.ts';
import { CliError, EXIT } from './errors.ts';
import { InputLines } from './input-lines.ts';
import { print, tell } from './output.ts';
import { Persistence } from './persistence.ts';

export interface PublishOptions extends ConnectionOptions {
  readonly file?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly causationId?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly json?: boolean | undefined;
}

/** Events in one call, at most. */
const BATCH = 100;
const PROGRESS_INTERVAL_MS = 100;
/** In place of data or a file. */
const STDIN = '-';
const FORMS = 'courier publish CHANNEL TYPE DATA, or CHANNEL TYPE and data as a JSON object a line, or whole events as lines';

/** An event to publish, and what it is called in messages: the gateway alone knows whether it is right. */
interface Item {
  readonly draft: EventDraft;
  readonly where: string;
}

export async function publish(
  channel: string | undefined,
  type: string | undefined,
  data: string | undefined,
  options: PublishOptions,
): Promise<void> {
  checkArguments(channel, type, data, options);
  const trpc = await httpClient(options);
  if (data !== undefined && data !== STDIN) {
    const draft = toDraft({ channel, type, data: parse(data, 'data') }, options, options.idempotencyKey);
    const send = () => trpc.events.publish.mutate(draft);
    await printReceipt(await send().catch((error: unknown) => explainInput(error, 'data', type !== undefined)), options);
    return;
  }
  const started = performance.now();
  let published = 0;
  const lines = new InputLines(await openInput(options));
  const persistence = new Persistence({ onWait: (reason) => tell({ style: 'yellow', text: `trying again: ${reason}` }) });
  // Every event has a key, so a batch whose answer was lost may be sent again.
  const send = (some: readonly Item[]) => persistence.run(() => trpc.events.publishBatch.mutate(some.map(({ draft }) => draft)));
  try {
    for await (const batch of batches(lines, channel, type, options)) {
      for await (const receipt of publishItems(batch, send, type !== undefined)) {
        await printReceipt(receipt, options);
        published += 1;
      }
      showProgress(published);
    }
  } catch (error) {
    clearProgress();
    tell(await progressLine(published, lines, persistence.isUnknown));
    throw error;
  }
  if (published === 0)
    throw usage(
      `nothing came ${options.file === undefined || options.file === STDIN ? 'on standard input' : `from ${options.file}`}: ${FORMS}`,
    );
  clearProgress();
  tell(`published ${published} events in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

let toShow = 0;
let showing: NodeJS.Timeout | undefined;
/** Soon, and not more often than can be read. */
function showProgress(published: number): void {
  toShow = published;
  if (!process.stderr.isTTY) return;
  showing ??= setTimeout(() => {
    showing = undefined;
    process.stderr.write(`\rpublished ${toShow} …`);
  }, PROGRESS_INTERVAL_MS);
}

function clearProgress(): void {
  clearTimeout(showing);
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
}

/** How far it came when it failed. @param isUnknown whether what was under way may have been stored. */
async function progressLine(published: number, lines: InputLines, isUnknown: boolean): Promise<string> {
  const total = await lines.countRest();
  const far = total === undefined ? `${published} published, and the input goes on` : `${published} of ${total} published`;
  return isUnknown ? `${far}; of those after them some may be stored too` : far;
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

/** Drafts from the input's lines, as many as have come: a pipe may stay open and pause. A line that is wrong stops it, with its number; what came before is published. */
async function* batches(
  lines: InputLines,
  channel: string | undefined,
  type: string | undefined,
  options: PublishOptions,
): AsyncGenerator<Item[]> {
  const run = randomUUID();
  let batch: Item[] = [];
  let failure: unknown;
  try {
    for (;;) {
      const line = batch.length === 0 ? await lines.next() : await lines.nextThere();
      if (line === undefined) break;
      if (line !== null) {
        const { text, number } = line;
        const value = parse(text, `line ${number}`);
        const fields = channel === undefined ? (value as Record<string, unknown>) : { channel, type, data: value };
        batch.push({ draft: toDraft(fields, options, `${run}-${number}`), where: `line ${number}` });
      }
      if (line === null || batch.length === BATCH) {
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

function toDraft(fields: Record<string, unknown>, { correlationId, causationId }: PublishOptions, key: string | undefined): EventDraft {
  const isSaid = correlationId !== undefined || causationId !== undefined;
  const metadata = isSaid ? { correlation_id: correlationId, causation_id: causationId } : undefined;
  return { ...(metadata && { metadata }), ...(key && { idempotency_key: key }), ...fields } as unknown as EventDraft;
}

type Send = (items: readonly Item[]) => Promise<readonly ShownReceipt[]>;

/**
 * Publishes items, in halves where the gateway takes fewer at once. When it refuses one for its form, this publishes those before it, and
 * fails with the item's line.
 */
async function* publishItems(items: readonly Item[], send: Send, isTypeGiven: boolean): AsyncGenerator<ShownReceipt> {
  try {
    yield* await send(items);
  } catch (error) {
    const [issue] = issuesOf(error);
    if (issue === undefined && items.length > 1 && isTooMany(error)) {
      const half = Math.ceil(items.length / 2);
      yield* publishItems(items.slice(0, half), send, isTypeGiven);
      yield* publishItems(items.slice(half), send, isTypeGiven);
      return;
    }
    const place = /^(\d+)\./.exec(issue?.path ?? '')?.[1];
    // A list of one may be told as the one.
    const index = place === undefined && items.length === 1 && issue !== undefined ? 0 : Number(place);
    const wrong = items[index];
    if (wrong === undefined) throw error;
    if (index > 0) yield* publishItems(items.slice(0, index), send, isTypeGiven);
    explainInput(error, wrong.where, isTypeGiven, place === undefined ? '' : `${index}.`);
  }
}

/** Whether fewer may be taken: a limit lets so many never through at once, or they are too large together. */
function isTooMany(error: unknown): boolean {
  const code = error instanceof TRPCClientError ? error.data?.code : undefined;
  return code === 'BAD_REQUEST' || code === 'PAYLOAD_TOO_LARGE';
}

interface ShownIssue {
  readonly path: string;
  readonly message: string;
}

function issuesOf(error: unknown): readonly ShownIssue[] {
  const data: { readonly issues?: readonly ShownIssue[] } | null | undefined = error instanceof TRPCClientError ? error.data : undefined;
  return data?.issues ?? [];
}

/**
 * Says what is wrong with an event that the gateway has refused for its form.
 *
 * @param prefix of the paths of its issues.
 * @throws {CliError}; the error itself when it is of another kind.
 */
function explainInput(error: unknown, where: string, isTypeGiven: boolean, prefix = ''): never {
  const issues = issuesOf(error).filter(({ path }) => path.startsWith(prefix));
  if (issues.length === 0) throw error;
  const own = issues.map(({ path, message }) => ({ path: path.slice(prefix.length), message }));
  const text = own.map(({ path, message }) => `${path || 'event'}: ${message}`).join('; ');
  if (isTypeGiven && own.some(({ path }) => path === 'type' || path === 'channel')) throw new CliError(text, EXIT.usage, undefined, error);
  throw new CliError(`${where} is not a valid event: ${text}`);
}

interface ShownReceipt {
  readonly id: string;
  readonly channel: string;
  readonly type: string;
  readonly duplicate: boolean;
}

function printReceipt(receipt: ShownReceipt, { json }: PublishOptions): Promise<void> {
  return print(
    json ? JSON.stringify(receipt) : `${receipt.id} ${receipt.channel} ${receipt.type}${receipt.duplicate ? ' (duplicate)' : ''}`,
  );
}
