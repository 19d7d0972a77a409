/** Publishes a draft, and keeps the faults of the last one. */
import { CourierError, type Issue, type PublishOptions, type Receipt } from '@lumiere/courier-client';
import { type UseMutationResult, useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import type { JsonSchema } from '../../../../../src/contract/json-schema.ts';
import { useClient } from '../../contract/served.ts';
import { type Draft, dataOf, type Metadata } from './draft.ts';
import { unreadable } from './form-data.ts';
import { readJson } from './json-text.ts';

interface Publication {
  readonly channel: string;
  readonly type: string;
  readonly data: unknown;
  readonly options: PublishOptions;
}

/** The faults; `number` counts the refusals, so that the page announces each. */
interface Refusal {
  readonly number: number;
  readonly issues: readonly Issue[];
}

export interface Publishing {
  readonly mutation: UseMutationResult<Receipt<string>, Error, Publication>;
  readonly refusal: Refusal;
  /** @param schema the schema of the whole draft. */
  readonly publish: (draft: Draft, channel: string, schema: JsonSchema) => void;
  /** Publishes the last event again, with this key. */
  readonly repeat: (idempotencyKey: string) => void;
  /** Notes a change at `path`, which removes the faults there. */
  readonly forget: (path: string) => void;
}

export function usePublish(onPublished: (receipt: Receipt<string>) => void): Publishing {
  const client = useClient();
  const [refusal, setRefusal] = useState<Refusal>({ number: 0, issues: [] });
  const refuse = (issues: readonly Issue[]) => setRefusal(({ number }) => ({ number: number + 1, issues }));
  const mutation = useMutation<Receipt<string>, Error, Publication>({
    // The compiler cannot check the draft; the gateway does, and explains a refusal.
    mutationFn: ({ channel, type, data, options }) => client.publish(channel as never, type, data as never, options),
    networkMode: 'always',
    onMutate: () => setRefusal(({ number }) => ({ number, issues: [] })),
    onSuccess: onPublished,
    onError: (error) => refuse(error instanceof CourierError ? (error.issues ?? []) : []),
  });
  return {
    mutation,
    refusal,
    publish: (draft, channel, schema) => {
      const issues = faultsOf(draft, schema);
      if (issues.length > 0) {
        mutation.reset();
        refuse(issues);
      } else {
        const data = dataOf(draft, schema.properties?.['data'] ?? {});
        mutation.mutate({ channel: channel.trim(), type: draft.type, data, options: optionsOf(draft.metadata) });
      }
    },
    repeat: (idempotencyKey) => {
      const { variables } = mutation;
      if (variables !== undefined) mutation.mutate({ ...variables, options: { ...variables.options, idempotencyKey } });
    },
    forget: (path) =>
      setRefusal(({ number, issues }) => ({
        number,
        issues: issues.filter((issue) => issue.path !== path && !issue.path.startsWith(`${path}.`)),
      })),
  };
}

/** The reason why a draft is not an event at all. The gateway checks everything else. */
function faultsOf({ data, json, metadata: { timestamp } }: Draft, { properties }: JsonSchema): Issue[] {
  const time = timestamp.trim();
  const isTime = time === '' || new RegExp(properties?.['metadata']?.properties?.['timestamp']?.pattern ?? '', 'u').test(time);
  return [
    ...textFaults(json),
    ...(json === undefined ? unreadable(data, properties?.['data'] ?? {}, 'data') : []),
    ...(isTime ? [] : [{ path: 'metadata.timestamp', message: 'must be ISO 8601 with an offset, such as 2026-01-31T09:30:00Z' }]),
  ];
}

function textFaults(json: string | undefined): Issue[] {
  const read = json === undefined ? undefined : readJson(json);
  return read !== undefined && 'fault' in read ? [{ path: 'data', message: read.fault }] : [];
}

/** The metadata without empty fields. */
function optionsOf({ timestamp, correlation_id, user_id, idempotency_key }: Metadata): PublishOptions {
  return {
    timestamp: timestamp.trim() === '' ? undefined : new Date(timestamp.trim()),
    correlationId: correlation_id.trim() || undefined,
    userId: user_id.trim() || undefined,
    idempotencyKey: idempotency_key.trim() || undefined,
  };
}
