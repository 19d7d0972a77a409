/** One thing: its state, and the events that made it. */
import { Anchor, Group, Stack, Text, Title } from '@mantine/core';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { type ReactElement, useState } from 'react';
import type { ContractDocument, EntityOfState } from '../../../../../src/contract/document.ts';
import { entityNames, entityOf, keyOfThing, type NameOfThing } from '../../contract/entities.ts';
import { useContract } from '../../contract/use-contract.ts';
import { count } from '../../parts/format.ts';
import { Legible } from '../../parts/legible.tsx';
import { Empty, Failed, Loaded, Loading } from '../../parts/states.tsx';
import { Earlier } from '../stream/earlier.tsx';
import { EventDetails } from '../stream/event-details.tsx';
import { EventList } from '../stream/event-list.tsx';
import { useShownEvents } from '../stream/use-shown-events.ts';
import { PresentState } from './present-state.tsx';
import { problemOfThing } from './search.ts';
import { NoEntities, WrongAddress } from './state.tsx';

export function ThingPage(): ReactElement {
  const search = useSearch({ from: '/state/thing' });
  const contract = useContract();
  return (
    <Stack gap="sm">
      <Heading search={search} />
      <Loaded what="State" query={contract} rows={8}>
        {({ document }) => {
          if (entityNames(document).length === 0) return <NoEntities />;
          const problem = problemOfThing(document, search);
          const entity = search.entity === undefined ? undefined : entityOf(document, search.entity);
          if (problem !== undefined || entity === undefined) return <WrongAddress problem={problem ?? ''} />;
          return <Thing key={JSON.stringify(search)} document={document} entity={entity} name={search as NameOfThing} />;
        }}
      </Loaded>
    </Stack>
  );
}

function Heading({ search: { entity, channel, key = 'State' } }: { readonly search: Partial<NameOfThing> }): ReactElement {
  return (
    <Group justify="space-between">
      <Title order={1} size="h3">
        {entity !== undefined && (
          <Text span inherit c="dimmed">
            <Legible max={64}>{entity}</Legible>{' '}
          </Text>
        )}
        <Legible max={520}>{key}</Legible>
      </Title>
      <Group gap="md">
        {channel !== undefined && (
          <Anchor size="sm" renderRoot={(props) => <Link {...props} to="/stream" search={{ channels: channel }} />}>
            <Legible max={255}>{channel}</Legible>
          </Anchor>
        )}
        <Anchor size="sm" renderRoot={(props) => <Link {...props} to="/state" search={entity === undefined ? {} : { entity }} />}>
          All of them
        </Anchor>
      </Group>
    </Group>
  );
}

interface ThingProps {
  readonly document: ContractDocument;
  readonly entity: EntityOfState;
  readonly name: NameOfThing;
}

function Thing({ document, entity, name }: ThingProps): ReactElement {
  return (
    <>
      <PresentState entity={entity} name={name} />
      <Title order={2} size="h5">
        Its events
      </Title>
      <Events document={document} entity={entity} name={name} />
    </>
  );
}

/** The stored events of the thing, newest first, and new ones as they come. */
function Events({ document, entity, name }: ThingProps): ReactElement {
  const navigate = useNavigate();
  const { shown, state } = useShownEvents({
    channels: [name.channel],
    types: entity.types,
    about: keyOfThing(document, entity, name),
  });
  const [chosen, setChosen] = useState<string>();
  const row = chosen === undefined ? undefined : state.rows.find(({ id }) => id === chosen);
  const isLoading = state.status === 'loading' || state.earlier.status === 'loading';
  return (
    <>
      {state.status === 'failed' && <Failed what="The events" error={state.error} />}
      {state.rows.length > 0 && (
        <>
          <Text size="sm" c="dimmed" className="figures" data-shown={state.rows.length}>
            {state.rows.length === 1 ? '1 event' : `${count(state.rows.length)} events, newest first`}
          </Text>
          <EventList
            rows={state.rows}
            isAsHighAsItsRows
            chosen={chosen}
            onChoose={setChosen}
            onScroll={() => undefined}
            end={<Earlier shown={shown} state={state} />}
          />
        </>
      )}
      {state.rows.length === 0 && state.status !== 'failed' && isLoading && <Loading label="Events" rows={6} />}
      {state.rows.length === 0 && state.status === 'live' && !isLoading && (
        <>
          <Empty title="No event of it is found">What is published about it from now on appears here by itself.</Empty>
          <Earlier shown={shown} state={state} />
        </>
      )}
      <EventDetails
        event={row?.kind === 'event' ? row.event : undefined}
        onClose={() => setChosen(undefined)}
        onFilter={(more) => void navigate({ to: '/stream', search: { channels: name.channel, ...more } })}
      />
    </>
  );
}
