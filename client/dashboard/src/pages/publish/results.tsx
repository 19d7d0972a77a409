/** The events published since the page was opened, newest first. */
import type { Receipt } from '@lumiere/courier-client';
import { Anchor, Badge, Button, Card, Group, Stack, Text, Title } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { type ReactElement, useState } from 'react';
import { CopyText } from '../../parts/code.tsx';
import { Facts } from '../../parts/facts.tsx';
import { dateTimeOf } from '../../parts/format.ts';
import { Legible } from '../../parts/legible.tsx';
import { Empty } from '../../parts/states.tsx';
import { useIsAdmin } from '../../session/use-identity.ts';
import { RecipientList } from './recipients.tsx';

export interface Result {
  /** Names the result on this page: its position does not, as a duplicate has that of the event stored first. */
  readonly number: number;
  readonly receipt: Receipt<string>;
}

export function Results({ results }: { readonly results: readonly Result[] }): ReactElement {
  return (
    <Stack gap="sm">
      <Title order={2} size="h5">
        Published
      </Title>
      {results.length === 0 && <Empty title="Nothing yet">Where an event went is shown here once it is published.</Empty>}
      {results.map(({ number, receipt }, index) => (
        <ResultCard key={number} receipt={receipt} isNewest={index === 0} />
      ))}
    </Stack>
  );
}

function ResultCard({ receipt, isNewest }: { readonly receipt: Receipt<string>; readonly isNewest: boolean }): ReactElement {
  const { id, channel, type, timestamp, duplicate } = receipt;
  return (
    <Card data-result={id}>
      <Group justify="space-between" gap="xs" mb="xs">
        <Title order={3} size="h6" className="text">
          {type}
        </Title>
        <Badge variant="dot" color={duplicate ? 'orange' : 'teal'} tt="none">
          {duplicate ? 'duplicate' : 'stored'}
        </Badge>
      </Group>
      {duplicate && <Text size="sm">The key was known: this is the event that was stored with it first.</Text>}
      <Facts
        facts={[
          ['Position', <CopyText key="id" text={id} what="the position" />],
          ['Channel', <Legible key="channel">{channel}</Legible>],
          ['Time', dateTimeOf(timestamp)],
        ]}
      />
      <Anchor
        size="sm"
        display="inline-block"
        mt={4}
        renderRoot={(props) => <Link {...props} to="/stream" search={{ channels: channel }} />}
      >
        Stream of {channel}
      </Anchor>
      <Received receipt={receipt} isNewest={isNewest} />
    </Card>
  );
}

/** Only the newest result queries its recipients by itself, so that ten results do not send ten queries again and again. */
function Received({ receipt, isNewest }: { readonly receipt: Receipt<string>; readonly isNewest: boolean }): ReactElement {
  const isAdmin = useIsAdmin();
  const [chosen, setChosen] = useState<boolean>();
  const isOpen = chosen ?? isNewest;
  if (!isAdmin)
    return (
      <Text size="sm" c="dimmed" mt="xs">
        Who received it is for admins to see.
      </Text>
    );
  return (
    <Stack gap="xs" mt="xs" align="stretch">
      <Button
        size="compact-xs"
        variant="default"
        onClick={() => setChosen(!isOpen)}
        aria-expanded={isOpen}
        style={{ alignSelf: 'flex-start' }}
      >
        Who received it
      </Button>
      {isOpen && <RecipientList receipt={receipt} />}
    </Stack>
  );
}
