/** The types of the contract by service, and the notices of Courier; each can be searched for by its name. */
import { SimpleGrid, Stack, Text, Title } from '@mantine/core';
import { type ReactElement, useState } from 'react';
import type { ContractDocument } from '../../../../../src/contract/document.ts';
import { NOTICE_CHANNEL } from '../../../../../src/contract/envelope.ts';
import { dataSchemaOf, descriptionOf, draftSchemaOf, familiesOf, typeOf, typesOf } from '../../contract/look-up.ts';
import { count } from '../../parts/format.ts';
import { SearchField } from '../../parts/search-field.tsx';
import { Empty } from '../../parts/states.tsx';
import { useIdentity } from '../../session/use-identity.ts';
import { TypeCard } from './type-card.tsx';

export function Types({ document }: { readonly document: ContractDocument }): ReactElement {
  const { role, sub } = useIdentity();
  const [search, setSearch] = useState('');
  const isFound = (type: string) => type.toLowerCase().includes(search.trim().toLowerCase());
  const services = Object.entries(document['x-services'])
    .map(([service, types]) => ({ service, types: types.filter(isFound) }))
    .filter(({ types }) => types.length > 0);
  const notices = document['x-notices'].filter(isFound);
  const found = services.reduce((sum, { types }) => sum + types.length, 0);
  return (
    <>
      <Title order={2} size="h5">
        Types
      </Title>
      <div>
        <SearchField placeholder={`${typesOf(document)[0]?.split('.', 1)[0]}.`} value={search} onChange={setSearch} />
        <Text size="sm" c="dimmed" role="status" mt={4}>
          {count(found)} {found === 1 ? 'type' : 'types'}
          {notices.length > 0 && `, and ${count(notices.length)} ${notices.length === 1 ? 'notice' : 'notices'}`}
        </Text>
      </div>
      {found + notices.length === 0 && <Empty title="No type is found">None has this in its name.</Empty>}
      {services.map(({ service, types }) => (
        <Stack key={service} gap="xs" data-service={service}>
          <Title order={3} size="h6" className="text">
            Published by {service}
          </Title>
          <Cards document={document} types={types} canPublish={role === 'admin' || sub === service} />
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
          <Cards document={document} types={notices} canPublish={false} />
        </Stack>
      )}
    </>
  );
}

interface CardsProps {
  readonly document: ContractDocument;
  readonly types: readonly string[];
  readonly canPublish: boolean;
}

function Cards({ document, types, canPublish }: CardsProps): ReactElement {
  return (
    <SimpleGrid cols={{ base: 1, lg: 2 }}>
      {types.map((type) => {
        const about = typeOf(document, type);
        return (
          <TypeCard
            key={type}
            type={type}
            channels={about === undefined ? [NOTICE_CHANNEL] : familiesOf(document, type).map(({ form }) => form)}
            description={descriptionOf(document, type)}
            version={about?.version ?? 1}
            data={dataSchemaOf(document, type)}
            examples={about?.examples ?? []}
            schema={about === undefined ? (document.$defs[type] ?? {}) : draftSchemaOf(document, type)}
            canPublish={canPublish}
          />
        );
      })}
    </SimpleGrid>
  );
}
