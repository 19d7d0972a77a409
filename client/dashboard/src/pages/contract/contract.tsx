/** The gateway's contract for people: the events that they can publish and receive. */
import { Anchor, Card, Group, SimpleGrid, Stack, Text, Title } from '@mantine/core';
import { type ReactElement, useState } from 'react';
import type { ContractDocument } from '../../../../../src/contract/document.ts';
import { Facts } from '../../parts/facts.tsx';
import { count } from '../../parts/format.ts';
import { SearchField } from '../../parts/search-field.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { GATEWAY_URL } from '../../place.ts';
import { useIdentity } from '../../session/use-identity.ts';
import { ClientsCard } from './clients.tsx';
import { FamiliesCard } from './families.tsx';
import { dataSchemaOf, draftSchemaOf, familiesOf } from './look-up.ts';
import { TypeCard } from './type-card.tsx';
import { type Contract, useContract } from './use-contract.ts';

export function ContractPage(): ReactElement {
  const contract = useContract();
  return (
    <Stack>
      <Title order={1} size="h3">
        Contract
      </Title>
      <Loaded what="The contract" query={contract} rows={12}>
        {(loaded) => <Whole contract={loaded} />}
      </Loaded>
    </Stack>
  );
}

function Whole({ contract: { document, hash } }: { readonly contract: Contract }): ReactElement {
  const types = Object.keys(document['x-drafts']).length;
  return (
    <>
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <Card>
          <Title order={2} size="h5" mb="xs">
            This gateway's
          </Title>
          <Facts
            facts={[
              ['Hash', hash ?? 'not told'],
              ['Event types', count(types)],
              ['Families of channels', count(Object.keys(document['x-channels']).length)],
              [
                'For programs',
                <Group key="files" gap="xs" justify="flex-end">
                  <Anchor size="sm" href={`${GATEWAY_URL}/contract.json`}>
                    contract.json
                  </Anchor>
                  <Anchor size="sm" href={`${GATEWAY_URL}/asyncapi.json`}>
                    asyncapi.json
                  </Anchor>
                </Group>,
              ],
            ]}
          />
        </Card>
        <ClientsCard />
      </SimpleGrid>
      <FamiliesCard document={document} />
      <Types document={document} />
    </>
  );
}

function Types({ document }: { readonly document: ContractDocument }): ReactElement {
  const { role, sub } = useIdentity();
  const [search, setSearch] = useState('');
  const isFound = (type: string) => type.toLowerCase().includes(search.trim().toLowerCase());
  const services = Object.entries(document['x-services'])
    .map(([service, types]) => ({ service, types: types.filter(isFound) }))
    .filter(({ types }) => types.length > 0);
  const notices = document['x-notices'].filter(isFound);
  const found = services.reduce((sum, { types }) => sum + types.length, notices.length);
  return (
    <>
      <Title order={2} size="h5">
        Types
      </Title>
      <div>
        <SearchField placeholder="backtest." value={search} onChange={setSearch} />
        <Text size="sm" c="dimmed" role="status" mt={4}>
          {count(found)} {found === 1 ? 'type' : 'types'}
        </Text>
      </div>
      {found === 0 && <Empty title="No type is found">None has this in its name.</Empty>}
      {services.map(({ service, types }) => (
        <Stack key={service} gap="xs" data-service={service}>
          <Title order={3} size="h6">
            Published by {service}
          </Title>
          <SimpleGrid cols={{ base: 1, lg: 2 }}>
            {types.map((type) => (
              <TypeCard
                key={type}
                type={type}
                channels={familiesOf(document, type).map(({ form }) => form)}
                data={dataSchemaOf(document, type)}
                schema={draftSchemaOf(document, type)}
                canPublish={role === 'admin' || sub === service}
              />
            ))}
          </SimpleGrid>
        </Stack>
      ))}
      {notices.length > 0 && (
        <Stack gap="xs" data-service="courier">
          <div>
            <Title order={3} size="h6">
              Notices
            </Title>
            <Text size="sm" c="dimmed">
              What Courier itself says to every subscriber.
            </Text>
          </div>
          <SimpleGrid cols={{ base: 1, lg: 2 }}>
            {notices.map((type) => (
              <TypeCard
                key={type}
                type={type}
                channels={['courier']}
                data={dataSchemaOf(document, type)}
                schema={document.$defs[type] ?? {}}
                canPublish={false}
              />
            ))}
          </SimpleGrid>
        </Stack>
      )}
    </>
  );
}
