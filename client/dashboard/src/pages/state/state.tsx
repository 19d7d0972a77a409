/** The present state of what the contract calls entities: all things of one of them, as they are. */
import { Alert, Stack, Text, Title } from '@mantine/core';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type ReactElement, useEffect, useState } from 'react';
import type { ContractDocument } from '../../../../../src/contract/document.ts';
import { entityNames, entityOf, entityToShow } from '../../contract/entities.ts';
import { useContract } from '../../contract/use-contract.ts';
import { Legible } from '../../parts/legible.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { channelsOf } from '../stream/search.ts';
import { problemOfState, type StateSearch } from './search.ts';
import { Selection } from './selection.tsx';
import { Things } from './things.tsx';

export function StatePage(): ReactElement {
  const contract = useContract();
  return (
    <Stack gap="sm">
      <Title order={1} size="h3">
        State
      </Title>
      <Loaded what="State" query={contract} rows={8}>
        {({ document }) => (entityNames(document).length === 0 ? <NoEntities /> : <State document={document} />)}
      </Loaded>
    </Stack>
  );
}

export function NoEntities(): ReactElement {
  return (
    <Empty title="The contract has no entities">
      Where it declares some, the gateway keeps the state of each thing that the events tell of, and it is shown here.
    </Empty>
  );
}

/** The sentence in place of what an address does not select. */
export function WrongAddress({ problem }: { readonly problem: string }): ReactElement {
  return (
    <Alert color="orange" variant="outline" title="Nothing can be shown" role="alert" p="xs">
      <Legible>{problem}</Legible>
    </Alert>
  );
}

function State({ document }: { readonly document: ContractDocument }): ReactElement {
  const search = useSearch({ from: '/state' });
  const navigate = useNavigate({ from: '/state' });
  const [typed, setTyped] = useState(search.key ?? '');
  // The way back may lead to another key.
  useEffect(() => setTyped((text) => search.key ?? text), [search.key]);
  const channels = channelsOf(search.channels);
  const name = search.entity ?? entityToShow(document, channels);
  const entity = name === undefined ? undefined : entityOf(document, name);
  const problem = problemOfState(document, search);
  const show = (next: StateSearch) => void navigate({ search: next, replace: next.key !== search.key });
  return (
    <>
      <Selection document={document} search={search} entity={name} typed={typed} onType={setTyped} onChange={show} />
      {entity !== undefined && (
        <Text size="sm" c="dimmed">
          <Legible>{entity.description}</Legible>
        </Text>
      )}
      {problem !== undefined && <WrongAddress problem={problem} />}
      {problem === undefined && name !== undefined && entity !== undefined && (
        <Things
          key={JSON.stringify([name, search])}
          entity={entity}
          options={{ channels, entity: name, key: search.key, open: search.open === true }}
          typed={typed}
        />
      )}
    </>
  );
}
