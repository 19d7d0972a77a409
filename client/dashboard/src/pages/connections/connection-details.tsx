/** One connection: its details, and the actions on it. */

import { useCourierClient } from '@lumiere/courier-client/react';
import { Alert, Button, Drawer, Group, Modal, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type ReactElement, useState } from 'react';
import type { Connection } from '../../../../../src/contract/admin.ts';
import { Facts } from '../../parts/facts.tsx';
import { bytes, count, dateTimeOf } from '../../parts/format.ts';
import { Legible, legible } from '../../parts/legible.tsx';
import { useIdentity } from '../../session/use-identity.ts';

interface ConnectionDetailsProps {
  /** Undefined when the connection has closed meanwhile. */
  readonly connection: Connection | undefined;
  readonly chosen: string | undefined;
  readonly onClose: () => void;
}

export function ConnectionDetails({ connection, chosen, onClose }: ConnectionDetailsProps): ReactElement {
  return (
    <Drawer opened={chosen !== undefined} onClose={onClose} position="right" title="Connection">
      {connection === undefined ? <Text role="status">It is closed.</Text> : <Details connection={connection} />}
    </Drawer>
  );
}

function Details({ connection }: { readonly connection: Connection }): ReactElement {
  const { sub, role, transport, address, client, contract, since, expires_at, subscriptions, channels, worker, lag, buffered_bytes } =
    connection;
  return (
    <Stack>
      <Facts
        facts={[
          ['Principal', <Legible key="sub">{sub}</Legible>],
          ['Role', role],
          ['Transport', transport],
          ['Address', address],
          ['Client', client === null ? 'does not say' : <Legible key="client">{client}</Legible>],
          ['Its contract', contract === null ? 'does not say' : <Legible key="contract">{contract}</Legible>],
          ['Since', dateTimeOf(since)],
          ['Token ends', dateTimeOf(expires_at)],
          ['Lag', `${count(lag)} events`],
          ['Buffered', bytes(buffered_bytes)],
          ['Subscriptions', count(subscriptions)],
          ['Connection', connection.connection_id],
          ...(worker === null ? [] : [['Worker', count(worker)] as const]),
        ]}
      />
      {channels.length > 0 && (
        <div>
          <Text size="sm" c="dimmed">
            Subscribes to
          </Text>
          {channels.map((channel) => (
            <Text key={channel} size="sm">
              <Link to="/stream" search={{ channels: channel }}>
                {channel}
              </Link>
            </Text>
          ))}
        </div>
      )}
      <Actions connection={connection} />
    </Stack>
  );
}

type Action = 'disconnect' | 'revoke';

function Actions({ connection }: { readonly connection: Connection }): ReactElement {
  const { sub, connection_id } = connection;
  const { sub: self } = useIdentity();
  const { trpc } = useCourierClient();
  const queries = useQueryClient();
  const [asked, setAsked] = useState<Action>();
  const act = useMutation({
    mutationFn: async (action: Action) => {
      if (action === 'revoke') return `${count((await trpc.admin.revoke.mutate({ sub })).ended)} connections ended`;
      const { disconnected } = await trpc.admin.disconnect.mutate({ connection_id });
      return disconnected ? 'The connection was closed' : 'The connection was closed already';
    },
    onSuccess: (message) => {
      setAsked(undefined);
      notifications.show({ message });
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ['connections'] }),
  });
  const close = () => {
    setAsked(undefined);
    act.reset();
  };
  return (
    <>
      <Group grow>
        <Button variant="default" onClick={() => setAsked('disconnect')}>
          Disconnect
        </Button>
        <Button color="red" onClick={() => setAsked('revoke')}>
          Revoke tokens
        </Button>
      </Group>
      <Modal opened={asked !== undefined} onClose={close} title={asked === 'revoke' ? 'Revoke tokens' : 'Disconnect'}>
        <Stack>
          <Text size="sm">
            {asked === 'revoke'
              ? `Every token of ${legible(sub)}, whatever its role, that was issued until now is refused from now on, and its connections end. Those with a token that is issued more than 5 s later may come.`
              : `The connection is closed. The client of ${legible(sub)} may come back after a delay, and miss nothing.`}
          </Text>
          {asked === 'revoke' && sub === self && (
            <Alert color="orange" variant="outline">
              These are your own tokens: you will be signed out.
            </Alert>
          )}
          {act.error !== null && (
            <Alert color="red" variant="outline" role="alert">
              <Legible>{act.error.message}</Legible>
            </Alert>
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button color="red" loading={act.isPending} onClick={() => asked !== undefined && act.mutate(asked)} data-autofocus>
              {asked === 'revoke' ? 'Revoke' : 'Disconnect'}
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}
