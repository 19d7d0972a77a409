/** The gateway's contract for people: the events that they can publish and receive. */
import { Anchor, Card, Group, SimpleGrid, Stack, Title } from '@mantine/core';
import type { ReactElement } from 'react';
import { type Contract, useContract } from '../../contract/use-contract.ts';
import { Facts } from '../../parts/facts.tsx';
import { count } from '../../parts/format.ts';
import { Loaded } from '../../parts/states.tsx';
import { GATEWAY_URL } from '../../place.ts';
import { ClientsCard } from './clients.tsx';
import { FamiliesCard } from './families.tsx';
import { Types } from './types.tsx';

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
              ['Name', document['x-name']],
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
