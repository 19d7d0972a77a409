/** The channels with subscribers or recent events. */
import { Anchor, Stack, Text, Title } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { type ReactElement, useState } from 'react';
import type { ChannelActivity } from '../../../../../src/contract/admin.ts';
import { familyToShow } from '../../contract/look-up.ts';
import { useDocument } from '../../contract/use-contract.ts';
import { column, DataTable } from '../../parts/data-table.tsx';
import { count, rate, timeOf } from '../../parts/format.ts';
import { useChannels } from '../../parts/queries.ts';
import { SearchField } from '../../parts/search-field.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';

const COLUMNS = [
  column<ChannelActivity>('channel', {
    header: 'Channel',
    value: ({ channel }) => channel,
    cell: ({ channel }) => (
      <Anchor size="sm" renderRoot={(props) => <Link {...props} to="/stream" search={{ channels: channel }} />}>
        {channel}
      </Anchor>
    ),
  }),
  column<ChannelActivity>('subscribers', { header: 'Subscribers', value: ({ subscribers }) => subscribers, numeric: true }),
  column<ChannelActivity>('rate', {
    header: 'Events a second',
    value: ({ rate }) => rate,
    cell: (row) => (isFamily(row) ? '' : rate(row.rate)),
    numeric: true,
  }),
  column<ChannelActivity>('type', { header: 'Last event', value: ({ last_event }) => last_event?.type ?? '', wideOnly: true }),
  column<ChannelActivity>('at', {
    header: 'At',
    value: ({ last_event }) => last_event?.at.getTime() ?? 0,
    cell: ({ last_event }) => (last_event === null ? <Text c="dimmed">–</Text> : timeOf(last_event.at)),
    numeric: true,
    wideOnly: true,
  }),
];

export function ChannelsPage(): ReactElement {
  const [search, setSearch] = useState('');
  const channels = useChannels();
  const family = familyToShow(useDocument());
  return (
    <Stack>
      <div>
        <Title order={1} size="h3">
          Channels
        </Title>
        <Text size="sm" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
          Those with subscribers, and those with events since this gateway was started. Subscribers of a whole family, such as {family}.*,
          have a row of their own.
        </Text>
      </div>
      <SearchField placeholder={`${family}.`} value={search} onChange={setSearch} />
      <Loaded what="Channels" query={channels} rows={8}>
        {(rows) => (
          <>
            <Text size="sm" c="dimmed" role="status">
              {count(rows.length)} channels
            </Text>
            <DataTable
              label="Channels"
              columns={COLUMNS}
              rows={rows}
              rowId={({ channel }) => channel}
              search={search}
              initialSort={{ id: 'rate', desc: true }}
              empty={
                <Empty title="No channel is found">
                  {search === '' ? 'Nobody subscribes, and nothing was published yet.' : 'None has this in its name.'}
                </Empty>
              }
            />
          </>
        )}
      </Loaded>
    </Stack>
  );
}

function isFamily({ channel }: ChannelActivity): boolean {
  return channel.endsWith('*');
}
