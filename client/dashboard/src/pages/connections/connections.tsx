/** The open connections, which admins can search, sort, inspect and disconnect. */
import { Badge, Group, Stack, Text, Title, UnstyledButton } from '@mantine/core';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type ReactElement, useState } from 'react';
import type { Connection } from '../../../../../src/contract/admin.ts';
import { column, DataTable } from '../../parts/data-table.tsx';
import { bytes, count, dateTimeOf } from '../../parts/format.ts';
import { Legible } from '../../parts/legible.tsx';
import { useConnections } from '../../parts/queries.ts';
import { SearchField } from '../../parts/search-field.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { useIsAdmin } from '../../session/use-identity.ts';
import { ConnectionDetails } from './connection-details.tsx';

export function ConnectionsPage(): ReactElement {
  const isAdmin = useIsAdmin();
  return (
    <Stack>
      <Title order={1} size="h3">
        Connections
      </Title>
      {isAdmin ? (
        <Connections />
      ) : (
        <Empty title="Connections are for admins">Sign in with the token of an admin to see who is connected.</Empty>
      )}
    </Stack>
  );
}

function Connections(): ReactElement {
  const { search = '' } = useSearch({ from: '/connections' });
  const navigate = useNavigate({ from: '/connections' });
  const [chosen, setChosen] = useState<string>();
  const connections = useConnections();
  const columns = [
    column<Connection>('sub', {
      header: 'Principal',
      value: ({ sub }) => sub,
      cell: ({ sub, connection_id }) => (
        <UnstyledButton fz="sm" className="row-button" onClick={() => setChosen(connection_id)} title="Show its details">
          <Legible max={60}>{sub}</Legible>
        </UnstyledButton>
      ),
    }),
    column<Connection>('role', {
      header: 'Role',
      value: ({ role }) => role,
      cell: ({ role }) => (
        <Badge variant="default" tt="none">
          {role}
        </Badge>
      ),
    }),
    column<Connection>('transport', { header: 'Transport', value: ({ transport }) => transport, wideOnly: true }),
    column<Connection>('since', {
      header: 'Since',
      value: ({ since }) => since.getTime(),
      cell: ({ since }) => dateTimeOf(since),
      numeric: true,
      wideOnly: true,
    }),
    column<Connection>('address', { header: 'Address', value: ({ address }) => address, wideOnly: true }),
    column<Connection>('client', {
      header: 'Client',
      value: ({ client }) => client ?? '',
      cell: ({ client }) => (client === null ? <Text c="dimmed">–</Text> : <Legible max={60}>{client}</Legible>),
      wideOnly: true,
    }),
    column<Connection>('subscriptions', {
      header: 'Subscriptions',
      value: ({ subscriptions }) => subscriptions,
      numeric: true,
      wideOnly: true,
    }),
    column<Connection>('lag', { header: 'Lag', value: ({ lag }) => lag, cell: ({ lag }) => count(lag), numeric: true }),
    column<Connection>('buffered', {
      header: 'Buffered',
      value: ({ buffered_bytes }) => buffered_bytes,
      cell: ({ buffered_bytes }) => bytes(buffered_bytes),
      numeric: true,
    }),
  ];
  return (
    <>
      <SearchField
        placeholder="Principal, address, client …"
        value={search}
        onChange={(text) => void navigate({ search: text === '' ? {} : { search: text }, replace: true })}
      />
      <Loaded what="Connections" query={connections} rows={8}>
        {(loaded) => (
          <>
            <Group>
              <Text size="sm" c="dimmed" role="status">
                {count(loaded.total)} open
                {loaded.total > loaded.connections.length ? `, the oldest ${count(loaded.connections.length)} shown` : ''}
              </Text>
            </Group>
            <DataTable
              label="Connections"
              columns={columns}
              rows={loaded.connections}
              rowId={({ connection_id }) => connection_id}
              search={search}
              initialSort={{ id: 'since', desc: true }}
              empty={<Empty title="No connection is found">{search === '' ? 'Nobody is connected.' : 'None has this in it.'}</Empty>}
            />
            <ConnectionDetails
              connection={loaded.connections.find(({ connection_id }) => connection_id === chosen)}
              chosen={chosen}
              onClose={() => setChosen(undefined)}
            />
          </>
        )}
      </Loaded>
    </>
  );
}
