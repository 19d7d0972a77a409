/** The content after the oldest shown event: the end of history, or a button that reads more of it. */
import { Button, Group, Text } from '@mantine/core';
import type { ReactElement } from 'react';
import { dateTimeOf } from '../../parts/format.ts';
import { Legible } from '../../parts/legible.tsx';
import type { ShownEvents, ShownEventsState } from './shown-events.ts';

export function Earlier({ shown, state }: { readonly shown: ShownEvents; readonly state: ShownEventsState }): ReactElement {
  const { status, back, error } = state.earlier;
  return (
    <Group justify="center" p="sm" gap="xs">
      {status === 'end' ? (
        <Text size="sm" c="dimmed">
          That is everything that is retained.
        </Text>
      ) : (
        <>
          {status === 'failed' && error !== undefined && (
            <Text size="sm" c="var(--mantine-color-error)" role="alert">
              <Legible>{error.message}</Legible>
            </Text>
          )}
          {back !== undefined && (
            <Text size="sm" c="dimmed" className="figures">
              Searched back to {dateTimeOf(back)}
            </Text>
          )}
          <Button size="xs" variant="default" loading={status === 'loading'} onClick={() => void shown.loadEarlier()}>
            Load earlier
          </Button>
        </>
      )}
    </Group>
  );
}
