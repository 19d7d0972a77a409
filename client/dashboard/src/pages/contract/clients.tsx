/** The connected clients, and whether they were built from the gateway's contract. */
import { Badge, Card, Table, Text, Title } from '@mantine/core';
import type { ReactElement } from 'react';
import type { ClientCount, Stats } from '../../../../../src/contract/admin.ts';
import { count } from '../../parts/format.ts';
import { Legible } from '../../parts/legible.tsx';
import { useStats } from '../../parts/queries.ts';
import { Empty, Loaded } from '../../parts/states.tsx';

export function ClientsCard(): ReactElement {
  const stats = useStats();
  return (
    <Card>
      <Title order={2} size="h5" mb="xs">
        Connected clients
      </Title>
      <Loaded what="The clients" query={stats} rows={2}>
        {({ clients, contract }) =>
          clients.length === 0 ? <Empty title="Nobody is connected" /> : <ClientsTable clients={clients} contract={contract} />
        }
      </Loaded>
    </Card>
  );
}

function ClientsTable({ clients, contract }: Pick<Stats, 'clients' | 'contract'>): ReactElement {
  return (
    <Table className="figures">
      <Table.Thead>
        <Table.Tr>
          <Table.Th scope="col">Client</Table.Th>
          <Table.Th scope="col">Contract</Table.Th>
          <Table.Th scope="col" ta="right">
            Connections
          </Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {clients.map((client) => (
          <Table.Tr key={`${client.client} ${client.contract}`}>
            <Table.Td>
              {client.client === null ? <Text size="sm">does not say</Text> : <Legible max={60}>{client.client}</Legible>}
            </Table.Td>
            <Table.Td>
              <ContractMark client={client} contract={contract} />
            </Table.Td>
            <Table.Td ta="right">{count(client.connections)}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

function ContractMark({ client, contract }: { readonly client: ClientCount; readonly contract: string }): ReactElement {
  if (client.contract === null)
    return (
      <Badge variant="dot" color="gray" tt="none" miw="max-content">
        unknown
      </Badge>
    );
  const isSame = client.contract === contract;
  return (
    <>
      <Badge variant="dot" color={isSame ? 'teal' : 'orange'} tt="none">
        {isSame ? 'same' : 'other'}
      </Badge>
      {!isSame && (
        <Text size="xs" c="dimmed">
          <Legible max={40}>{client.contract}</Legible>
        </Text>
      )}
    </>
  );
}
