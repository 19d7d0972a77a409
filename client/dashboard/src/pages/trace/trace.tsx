/** One piece of work across services: all events with one correlation id, on an axis of time and in order. */
import { Anchor, Badge, Card, Group, Stack, Text, Title } from '@mantine/core';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { type ReactElement, useState } from 'react';
import { useContract } from '../../contract/use-contract.ts';
import { count, milliseconds } from '../../parts/format.ts';
import { Legible } from '../../parts/legible.tsx';
import { Empty, Failed, Loading } from '../../parts/states.tsx';
import { Earlier } from '../stream/earlier.tsx';
import { EventDetails } from '../stream/event-details.tsx';
import { useShownEvents } from '../stream/use-shown-events.ts';
import { Lanes } from './lanes.tsx';
import { axisOf, lanesOf } from './spans.ts';
import { Steps } from './steps.tsx';

/** Events of history that the page searches without being asked. */
const SEARCH_LIMIT = 20_000;

export function TracePage(): ReactElement {
  const { correlationId } = useParams({ from: '/trace/$correlationId' });
  const navigate = useNavigate();
  const { shown, state } = useShownEvents({ channels: ['**'], correlation: correlationId, searchLimit: SEARCH_LIMIT });
  const [chosen, setChosen] = useState<string>();
  const events = state.rows.flatMap((row) => (row.kind === 'event' ? [row.event] : []));
  const axis = axisOf(events);
  const contract = useContract();
  const lanes = lanesOf(events, axis, contract.data?.document);
  const services = [...new Set(lanes.map(({ source }) => source))];
  return (
    <Stack>
      <Group justify="space-between">
        <Title order={1} size="h3">
          <Legible>{correlationId}</Legible>
        </Title>
        <Anchor size="sm" renderRoot={(props) => <Link {...props} to="/stream" search={{ correlation: correlationId }} />}>
          As a stream
        </Anchor>
      </Group>
      {state.status === 'failed' && <Failed what="The events" error={state.error} />}
      {events.length === 0 && (state.status === 'loading' || state.earlier.status === 'loading') && <Loading label="Events" rows={8} />}
      {events.length === 0 && state.status === 'live' && state.earlier.status !== 'loading' && (
        <Empty title="No event with this correlation id is found">What is published with it from now on appears here by itself.</Empty>
      )}
      {events.length > 0 && (
        <>
          <Group gap="xs">
            <Badge variant="dot" color={state.status === 'live' ? 'teal' : 'gray'} tt="none" role="status">
              {state.status === 'live' ? 'Live' : 'Loading'}
            </Badge>
            <Text size="sm" c="dimmed">
              {count(events.length)} events of {services.join(', ')}
              {axis.kind === 'time'
                ? `, within ${milliseconds(axis.last - axis.first)}`
                : ', in the order of the log: their timestamps are not those of publishing'}
            </Text>
          </Group>
          <Card>{contract.isPending ? <Loading label="Lanes" /> : <Lanes lanes={lanes} axis={axis} onChoose={setChosen} />}</Card>
          <Card>
            <Steps events={events} axis={axis} onChoose={setChosen} />
          </Card>
        </>
      )}
      <Earlier shown={shown} state={state} />
      <EventDetails
        event={events.find(({ id }) => id === chosen)}
        onClose={() => setChosen(undefined)}
        onFilter={(search) => void navigate({ to: '/stream', search })}
      />
    </Stack>
  );
}
