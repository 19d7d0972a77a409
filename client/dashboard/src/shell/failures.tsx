/** The message in place of a page that failed. */

import { Alert, Button, Stack } from '@mantine/core';
import { type ErrorComponentProps, Link } from '@tanstack/react-router';
import type { ReactElement } from 'react';
import { messageOf } from '../parts/format.ts';
import { Legible } from '../parts/legible.tsx';
import { Empty } from '../parts/states.tsx';

export function NotFound(): ReactElement {
  return (
    <Empty title="There is no such page">
      <Link to="/">Go to the overview</Link>
    </Empty>
  );
}

/** A page whose code does not load is of another version than the running gateway. */
export function PageFailed({ error }: ErrorComponentProps): ReactElement {
  const message = messageOf(error);
  const isOutdated = /dynamically imported module|module script/i.test(message);
  return (
    <Alert
      color="red"
      variant="outline"
      role="alert"
      title={isOutdated ? 'This part of the page could not be loaded' : 'This page has failed'}
    >
      <Stack align="flex-start">
        {isOutdated ? 'The gateway is away, or was updated since the page was opened.' : <Legible>{message}</Legible>}
        <Button variant="default" size="xs" onClick={() => location.reload()}>
          Reload the page
        </Button>
      </Stack>
    </Alert>
  );
}
