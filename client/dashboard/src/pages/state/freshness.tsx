/** Whether what is shown is live, or since when it may be old. */
import { Badge, Text } from '@mantine/core';
import type { ReactElement } from 'react';
import { dateTimeOf } from '../../parts/format.ts';
import { Legible } from '../../parts/legible.tsx';
import type { WatchedStateState } from './watched-state.ts';

export function Freshness({ state: { status, oldSince, error } }: { readonly state: WatchedStateState }): ReactElement {
  const isOld = oldSince !== undefined;
  const color = isOld ? 'orange' : status === 'live' ? 'teal' : 'gray';
  return (
    <>
      <Badge variant="dot" tt="none" color={color} role="status" data-state={isOld ? 'old' : status}>
        {isOld ? `As of ${dateTimeOf(new Date(oldSince))}` : { live: 'Live', loading: 'Loading', failed: 'Failed' }[status]}
      </Badge>
      {error !== undefined && status !== 'failed' && (
        <Text size="sm" c="dimmed" role="status">
          <Legible>{error}</Legible>; it is tried again.
        </Text>
      )}
    </>
  );
}
