/** What stands in the place of a page that cannot be shown. */
import { Alert, Button, Stack } from '@mantine/core';
import { type ErrorComponentProps, Link } from '@tanstack/react-router';
import type { ReactElement } from 'react';
import { Legible } from '../parts/legible.tsx';
import { Empty } from '../parts/states.tsx';

export function NotFound(): ReactElement {
  return (
    <Empty title="There is no such page">
      <Link to="/">Go to the overview</Link>
    </Empty>
  );
}

/** A page whose code cannot be loaded is one of another version of the gateway than the one that runs now. */
export function PageFailed({ error }: ErrorComponentProps): ReactElement {
  const message = error instanceof Error ? error.message : String(error);
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
