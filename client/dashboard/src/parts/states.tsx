/** The states of a part of a page without data: loading, empty or failed. */

import { Alert, Button, Group, Skeleton, Stack, Text } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactElement, ReactNode } from 'react';
import { messageOf } from './format.ts';
import { Legible } from './legible.tsx';

export function Loading({ label, rows = 4 }: { readonly label: string; readonly rows?: number }): ReactElement {
  return (
    <Stack role="status" aria-label={`${label}: loading`} gap="xs">
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: they are all the same
        <Skeleton key={row} height={20} />
      ))}
    </Stack>
  );
}

export function Empty({ title, children }: { readonly title: string; readonly children?: ReactNode }): ReactElement {
  return (
    <Stack align="center" gap={4} py="xl" ta="center">
      <Text fw={600}>{title}</Text>
      {children !== undefined && (
        <Text c="dimmed" size="sm" maw={480}>
          {children}
        </Text>
      )}
    </Stack>
  );
}

export function Failed({
  what,
  error,
  onRetry,
}: {
  readonly what: string;
  readonly error: unknown;
  readonly onRetry?: () => void;
}): ReactElement {
  return (
    <Alert color="red" variant="outline" title={`${what} cannot be shown`} role="alert">
      <Stack gap="xs" align="flex-start">
        <Legible>{messageOf(error)}</Legible>
        {onRetry !== undefined && (
          <Button size="xs" variant="default" onClick={onRetry}>
            Try again
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

interface LoadedProps<T> {
  readonly what: string;
  readonly query: UseQueryResult<T>;
  readonly rows?: number;
  readonly children: (data: T) => ReactNode;
}

/** Shows the answer of a query. After a failure the earlier answer stays, with the reason why it is old. */
export function Loaded<T>({ what, query, rows, children }: LoadedProps<T>): ReactElement {
  const { data, error } = query;
  const retry = () => void query.refetch();
  if (data === undefined) {
    if (error !== null) return <Failed what={what} error={error} onRetry={retry} />;
    return <Loading label={what} {...(rows !== undefined && { rows })} />;
  }
  return (
    <>
      {error !== null && (
        <Group role="status" mb="xs">
          <Text size="sm" c="var(--mantine-color-error)">
            As of {new Date(query.dataUpdatedAt).toLocaleTimeString()}: <Legible>{error.message}</Legible>
          </Text>
        </Group>
      )}
      {children(data)}
    </>
  );
}
