/** The latest events of any channels, and new ones as they come. The user can filter, pause and inspect them. */
import type { Gap } from '@lumiere/courier-client';
import { Alert, Anchor, Badge, Button, Group, Stack, Text, Title } from '@mantine/core';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { type ReactElement, useRef, useState } from 'react';
import { entityNames } from '../../contract/entities.ts';
import { typeOf } from '../../contract/look-up.ts';
import { useContract, useDocument } from '../../contract/use-contract.ts';
import { count } from '../../parts/format.ts';
import { reasonOf } from '../../parts/gap-reason.ts';
import { Legible } from '../../parts/legible.tsx';
import { Empty, Failed, Loading } from '../../parts/states.tsx';
import { Earlier } from './earlier.tsx';
import { EventDetails } from './event-details.tsx';
import { EventList } from './event-list.tsx';
import { Filters } from './filters.tsx';
import { channelsOf, type StreamSearch } from './search.ts';
import type { ShownEvents, ShownEventsState } from './shown-events.ts';
import { SubscribeCode } from './subscribe-code.tsx';
import { useShownEvents } from './use-shown-events.ts';

export function StreamPage(): ReactElement {
  const search = useSearch({ from: '/stream' });
  const navigate = useNavigate({ from: '/stream' });
  const show = (next: StreamSearch) => void navigate({ search: next });
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Title order={1} size="h3">
          Stream
        </Title>
        <Group gap="md">
          <StateOf channels={search.channels} />
          <SubscribeCode search={search} />
        </Group>
      </Group>
      <Filters search={search} onChange={show} />
      <StreamOfKnown search={search} onFilter={show} />
    </Stack>
  );
}

/** Leads to the state of what the channels have, where the contract keeps any. */
function StateOf({ channels }: { readonly channels: string | undefined }): ReactElement | null {
  if (entityNames(useDocument()).length === 0) return null;
  return (
    <Anchor size="sm" renderRoot={(props) => <Link {...props} to="/state" search={channels === undefined ? {} : { channels }} />}>
      Their state
    </Anchor>
  );
}

interface StreamProps {
  readonly search: StreamSearch;
  readonly onFilter: (search: StreamSearch) => void;
}

/** Shows the events of the types that the contract has. A link may name others, of which the gateway has nothing to give. */
function StreamOfKnown({ search, onFilter }: StreamProps): ReactElement {
  const contract = useContract();
  const { types } = search;
  if (types !== undefined && contract.isPending) return <Loading label="Events" rows={8} />;
  const document = contract.data?.document;
  const known = document === undefined ? types : types?.filter((type) => typeOf(document, type) !== undefined);
  const unknown = types?.filter((type) => known?.includes(type) === false) ?? [];
  return (
    <>
      {unknown.length > 0 && (
        <Alert color="orange" variant="outline" title="No such type" role="alert" p="xs">
          <Text size="sm">
            The contract does not have <Legible>{unknown.join(', ')}</Legible>.
          </Text>
        </Alert>
      )}
      {known?.length === 0 ? (
        <Empty title="Nothing can be shown">Choose types that the contract has, or clear the filters.</Empty>
      ) : (
        <Stream key={JSON.stringify([search, known])} search={search} types={known} onFilter={onFilter} />
      )}
    </>
  );
}

function Stream({ search, types, onFilter }: StreamProps & { readonly types: readonly string[] | undefined }): ReactElement {
  const { channels, ...filter } = search;
  const { shown, state } = useShownEvents({ channels: channelsOf(channels), ...filter, types });
  const [chosen, setChosen] = useState<string>();
  /** The stream resumes by itself only after it has paused by itself. */
  const isPausedByScroll = useRef(false);
  const onScroll = (isAtNewest: boolean) => {
    if (isAtNewest && isPausedByScroll.current) {
      isPausedByScroll.current = false;
      shown.resume();
    } else if (!isAtNewest && !state.isPaused) {
      isPausedByScroll.current = true;
      shown.pause();
    }
  };
  const row = chosen === undefined ? undefined : state.rows.find(({ id }) => id === chosen);
  return (
    <>
      <Toolbar shown={shown} state={state} onPause={() => (isPausedByScroll.current = false)} />
      {state.status === 'failed' && <Failed what="The stream" error={state.error} />}
      {state.rows.length > 0 ? (
        <EventList
          rows={state.rows}
          chosen={chosen}
          onChoose={setChosen}
          onScroll={onScroll}
          end={<Earlier shown={shown} state={state} />}
        />
      ) : (
        <NothingYet shown={shown} state={state} />
      )}
      <EventDetails
        event={row?.kind === 'event' ? row.event : undefined}
        onClose={() => setChosen(undefined)}
        onFilter={(more) => {
          setChosen(undefined);
          onFilter({ ...search, ...more });
        }}
      />
    </>
  );
}

function Toolbar({
  shown,
  state,
  onPause,
}: {
  readonly shown: ShownEvents;
  readonly state: ShownEventsState;
  readonly onPause: () => void;
}): ReactElement {
  const { isPaused, held, rows, status } = state;
  const lastGap = rows.findLast((row): row is { kind: 'gap'; id: string; gap: Gap } => row.kind === 'gap')?.gap;
  const toggle = () => {
    onPause();
    if (isPaused) shown.resume();
    else shown.pause();
  };
  return (
    <>
      <Group justify="space-between" gap="xs">
        <Group gap="xs">
          <Button size="xs" variant={isPaused ? 'filled' : 'default'} onClick={toggle} w={92}>
            {isPaused ? 'Resume' : 'Pause'}
          </Button>
          <Button size="xs" variant="default" onClick={() => shown.clear()}>
            Clear
          </Button>
          <Badge
            variant="dot"
            tt="none"
            color={isPaused ? 'orange' : status === 'live' ? 'teal' : 'gray'}
            role="status"
            data-stream={isPaused ? 'paused' : status}
          >
            {isPaused ? `Paused, ${count(held.count)}${held.hasMore ? ' or more' : ''} waiting` : status === 'live' ? 'Live' : 'Loading'}
          </Badge>
        </Group>
        <Text size="sm" c="dimmed" className="figures" data-shown={rows.length}>
          {count(rows.length)} events
        </Text>
      </Group>
      {lastGap !== undefined && (
        <Alert color="orange" variant="outline" title="Events are missing" role="alert" p="xs">
          <Text size="sm">
            Those after <Legible>{lastGap.requested}</Legible> cannot be shown: {reasonOf(lastGap)}. It goes on after{' '}
            <Legible>{lastGap.resumed_from}</Legible>.
          </Text>
        </Alert>
      )}
    </>
  );
}

function NothingYet({ shown, state }: { readonly shown: ShownEvents; readonly state: ShownEventsState }): ReactElement | null {
  if (state.status === 'failed') return null;
  if (state.status === 'loading' || state.earlier.status === 'loading') return <Loading label="Events" rows={8} />;
  return (
    <>
      <Empty title="Nothing yet">What is published from now on appears here by itself.</Empty>
      <Earlier shown={shown} state={state} />
    </>
  );
}
