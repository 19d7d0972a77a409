/** One event: its details, links from it, and code that publishes the same event. */
import { Anchor, Button, Drawer, Group, Stack, Text, Title } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { type ReactElement, useState } from 'react';
import { type NameOfThing, thingsOf } from '../../contract/entities.ts';
import type { ServedEvent } from '../../contract/served.ts';
import { useDocument, useIsPackaged } from '../../contract/use-contract.ts';
import { CodeBlock, CodeTabs, CopyText } from '../../parts/code.tsx';
import { Facts } from '../../parts/facts.tsx';
import { bytes, count } from '../../parts/format.ts';
import { Legible } from '../../parts/legible.tsx';
import { GATEWAY_URL } from '../../place.ts';
import type { StreamSearch } from './search.ts';
import { publishCode } from './snippets.ts';

/** Characters of JSON that the page shows at first. */
const SHOWN = 20_000;

interface EventDetailsProps {
  readonly event: ServedEvent | undefined;
  readonly onClose: () => void;
  readonly onFilter: (search: StreamSearch) => void;
}

export function EventDetails({ event, onClose, onFilter }: EventDetailsProps): ReactElement {
  return (
    <Drawer opened={event !== undefined} onClose={onClose} position="right" size="lg" title="Event">
      {event !== undefined && <Details key={event.id} event={event} onFilter={onFilter} />}
    </Drawer>
  );
}

function Details({ event, onFilter }: { readonly event: ServedEvent; readonly onFilter: EventDetailsProps['onFilter'] }): ReactElement {
  const isPackaged = useIsPackaged();
  const things = thingsOf(useDocument(), event);
  const { id, type, channel, metadata } = event;
  const { source, correlation_id, user_id, timestamp, traceparent } = metadata;
  return (
    <Stack>
      <Facts
        facts={[
          ['Type', type],
          ['Channel', channel],
          ['Source', <Legible key="source">{source}</Legible>],
          ['Time', timestamp.toISOString()],
          ['Position', <CopyText key="id" text={id} what="the position" />],
          ...(correlation_id === undefined ? [] : [['Correlation id', <Follow key="correlation" id={correlation_id} />] as const]),
          ...(user_id === undefined ? [] : [['User', <Legible key="user">{user_id}</Legible>] as const]),
          ...(things.length === 0 ? [] : [['State', <ThingLinks key="state" things={things} />] as const]),
          ...(traceparent === undefined ? [] : [['Trace', traceparent] as const]),
        ]}
      />
      <Group gap="xs">
        <Button size="xs" variant="default" onClick={() => onFilter({ channels: channel })}>
          Only this channel
        </Button>
        <Button size="xs" variant="default" onClick={() => onFilter({ types: [type] })}>
          Only this type
        </Button>
        <Button size="xs" variant="default" onClick={() => onFilter({ source })}>
          Only this source
        </Button>
        {user_id !== undefined && (
          <Button size="xs" variant="default" onClick={() => onFilter({ user: user_id })}>
            Only this user
          </Button>
        )}
        <Button size="xs" variant="default" onClick={() => onFilter({ after: id })}>
          From here on
        </Button>
      </Group>
      <Json event={event} />
      <div>
        <Title order={3} size="h6" mb={4}>
          Publish the same
        </Title>
        <CodeTabs code={publishCode(event, { url: GATEWAY_URL, isPackaged })} />
      </div>
    </Stack>
  );
}

function Follow({ id }: { readonly id: string }): ReactElement {
  return (
    <Anchor size="sm" renderRoot={(props) => <Link {...props} to="/trace/$correlationId" params={{ correlationId: id }} />}>
      Follow <Legible>{id}</Legible>
    </Anchor>
  );
}

/** What the event has changed. */
function ThingLinks({ things }: { readonly things: readonly NameOfThing[] }): ReactElement {
  return (
    <Stack gap={0} align="end">
      {things.map((thing) => (
        <Anchor key={thing.entity} size="sm" renderRoot={(props) => <Link {...props} to="/state/thing" search={thing} />}>
          {thing.entity} <Legible>{thing.key}</Legible>
        </Anchor>
      ))}
    </Stack>
  );
}

function Json({ event }: { readonly event: ServedEvent }): ReactElement {
  const [isWhole, setWhole] = useState(false);
  const json = JSON.stringify(event, null, 2);
  const shown = isWhole ? json : json.slice(0, SHOWN);
  return (
    <div>
      <Group justify="space-between" mb={4}>
        <Title order={3} size="h6">
          JSON
          <Text span size="sm" c="dimmed" fw={400}>
            {` ${bytes(new TextEncoder().encode(json).length)}`}
          </Text>
        </Title>
        <CopyText text={json} what="the JSON" label="Copy" />
      </Group>
      <CodeBlock name="json">{shown}</CodeBlock>
      {shown.length < json.length && (
        <Button size="xs" variant="default" mt={4} onClick={() => setWhole(true)}>
          Show the other {count(json.length - shown.length)} characters
        </Button>
      )}
    </div>
  );
}
