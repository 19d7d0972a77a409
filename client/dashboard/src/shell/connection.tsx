/** The state of the connection to the gateway, always in sight, and a message while there is none. */
import type { ConnectionState } from '@lumiere/courier-client';
import { useCourierClient, useCourierConnection } from '@lumiere/courier-client/react';
import { Alert, Badge, Button, Group, Text } from '@mantine/core';
import { type ReactElement, useEffect, useState } from 'react';
import { useIsOutdated } from '../contract/use-contract.ts';
import { Legible } from '../parts/legible.tsx';

const LOOKS = {
  idle: { color: 'gray', label: 'Not connected' },
  connecting: { color: 'orange', label: 'Reconnecting' },
  connected: { color: 'teal', label: 'Connected' },
  refused: { color: 'red', label: 'Refused' },
  closed: { color: 'gray', label: 'Closed' },
} as const satisfies Record<ConnectionState['status'], unknown>;

export function ConnectionBadge(): ReactElement {
  const { status } = useCourierConnection();
  const { color, label } = LOOKS[status];
  return (
    <Badge variant="dot" color={color} role="status" aria-label={`Connection: ${label}`} data-connection={status} tt="none" size="lg">
      {label}
    </Badge>
  );
}

/** While the gateway is away: the reason and the time of the next attempt. Where a reload would show another contract: the advice to do so. */
export function ConnectionNotice(): ReactElement | null {
  const connection = useCourierConnection();
  const isOutdated = useIsOutdated(connection.status === 'connected' ? connection.contract.gateway : undefined);
  if (connection.status === 'connecting') return <Away connection={connection} />;
  return isOutdated ? <Outdated /> : null;
}

function Away({ connection }: { readonly connection: Extract<ConnectionState, { status: 'connecting' }> }): ReactElement {
  const client = useCourierClient();
  const { error, retryAt } = connection;
  const seconds = useSecondsUntil(retryAt);
  return (
    <Alert color="orange" variant="outline" title="The gateway is away" role="status" mb="md">
      <Group justify="space-between">
        <Text size="sm">
          {error !== undefined && <Legible>{`${error.message}. `}</Legible>}
          What is shown is of before; nothing is missed.{' '}
          {retryAt === undefined || seconds === 0 ? 'Trying now.' : `Trying again in ${seconds} s.`}
        </Text>
        <Button size="xs" variant="default" onClick={() => void client.connect().catch(() => undefined)}>
          Try now
        </Button>
      </Group>
    </Alert>
  );
}

function Outdated(): ReactElement {
  return (
    <Alert color="orange" variant="outline" title="The gateway was updated" role="alert" mb="md">
      <Group justify="space-between">
        <Text size="sm">Its contract is another than the one that this page shows. Reload the page to see everything as it is.</Text>
        <Button size="xs" variant="default" onClick={() => location.reload()}>
          Reload
        </Button>
      </Group>
    </Alert>
  );
}

/** @param at in ms since 1970. */
function useSecondsUntil(at: number | undefined): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    setNow(Date.now());
    if (at === undefined) return undefined;
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [at]);
  return at === undefined ? 0 : Math.max(0, Math.ceil((at - now) / 1000));
}
