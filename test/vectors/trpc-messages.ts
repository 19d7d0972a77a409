/** What the scripted server writes over tRPC, in the form in which Courier's router does. */
import { TRPC_ERROR_CODES_BY_KEY } from '@trpc/server/rpc';
import superjson from 'superjson';
import { meaningOf } from '../../src/contract/codes.ts';
import type { SeenPublish } from './run.ts';
import type { ScriptedError, WireEvent } from './vector.ts';

export type RequestId = string | number;

/** An item of a subscription, with an event that is given as JSON: as superjson writes one whose timestamp is a Date. */
export function itemText(requestId: RequestId, event: string): string {
  const id = JSON.stringify((JSON.parse(event) as WireEvent).id);
  const data = `{"json":{"id":${id},"data":${event}},"meta":{"values":{"data.metadata.timestamp":["Date"]},"v":1}}`;
  return `{"id":${JSON.stringify(requestId)},"result":{"type":"data","data":${data},"id":${id}}}`;
}

/** The answer to a call that succeeded. */
export function resultText(id: RequestId, value: object): string {
  return JSON.stringify({ id, result: { type: 'data', data: superjson.serialize(value) } });
}

/** A receipt, or metadata, as tRPC's clients get it. */
export function withDate<T extends { timestamp: string }>(value: T): object {
  return { ...value, timestamp: new Date(value.timestamp) };
}

/** The input of a publish. */
export function publishOf({ channel, type, data, metadata = {}, idempotency_key = null }: Record<string, unknown>): SeenPublish {
  return { channel, type, data, metadata: metadata as Record<string, unknown>, idempotency_key: idempotency_key as string | null };
}

export function eventWithDate(event: WireEvent): object {
  return { ...event, metadata: withDate(event.metadata as { timestamp: string }) };
}

/** An error as Courier's router has it. Codes that tRPC does not know have the number of internal errors. */
export function errorShape(
  { code, message = code, issues, retry_after_ms: retryAfterMs, channel, status }: ScriptedError,
  id?: RequestId,
  path?: string,
): object {
  const number =
    Object.entries(TRPC_ERROR_CODES_BY_KEY).find(([key]) => key === code)?.[1] ?? TRPC_ERROR_CODES_BY_KEY.INTERNAL_SERVER_ERROR;
  const httpStatus = status ?? meaningOf(code).status;
  const data = { code, httpStatus, path, issues, retryAfterMs, channel, ...(id !== undefined && { requestId: `vector/${id}` }) };
  // What is undefined is left out.
  return superjson.serialize(JSON.parse(JSON.stringify({ message, code: number, data })));
}
