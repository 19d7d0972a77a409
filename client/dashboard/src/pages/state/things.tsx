/** The things of an entity in a table, as they are. */
import { Anchor, Badge, Group, Text } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { type ReactElement, useMemo } from 'react';
import type { EntityOfState } from '../../../../../src/contract/document.ts';
import { type Column, column, DataTable } from '../../parts/data-table.tsx';
import { count } from '../../parts/format.ts';
import { legible } from '../../parts/legible.tsx';
import { Empty, Failed, Loading } from '../../parts/states.tsx';
import { fieldsToShow, type ScalarField } from './fields.ts';
import { Freshness } from './freshness.tsx';
import { Scalar, textOf, timeIn } from './scalar.tsx';
import classes from './things.module.css';
import { useWatchedState } from './use-watched-state.ts';
import type { Thing, WatchedStateOptions, WatchedStateState } from './watched-state.ts';

interface ThingsProps {
  readonly entity: EntityOfState;
  readonly options: WatchedStateOptions;
  /** Only those with this in them. */
  readonly typed: string;
}

export function Things({ entity, options, typed }: ThingsProps): ReactElement {
  const state = useWatchedState(options);
  const fields = useMemo(() => fieldsToShow(entity.state, entity.key), [entity]);
  const columns = useMemo(() => columnsOf(fields), [fields]);
  const found = useMemo(
    () => state.things.filter((thing) => has(thing, fields, typed.trim().toLowerCase())),
    [state.things, fields, typed],
  );
  return (
    <>
      <Toolbar state={state} found={found.length} />
      {state.status === 'failed' && <Failed what="The state" error={new Error(state.error)} />}
      {state.status === 'loading' && found.length === 0 && <Loading label="State" rows={8} />}
      {(state.status === 'live' || found.length > 0) && (
        <DataTable
          label="State"
          columns={columns}
          rows={found}
          rowId={({ channel, key }) => `${channel} ${key}`}
          initialSort={{ id: '@position', desc: true }}
          empty={<NothingFound isAny={state.things.length > 0} options={options} />}
        />
      )}
    </>
  );
}

function NothingFound({ isAny, options: { open, key } }: { readonly isAny: boolean; readonly options: WatchedStateOptions }): ReactElement {
  if (isAny) return <Empty title="Nothing is found">None of what is shown has this in it. Enter looks for exactly this key.</Empty>;
  const what = key === undefined ? (open === true ? 'is open' : 'is there') : 'has exactly this key';
  return <Empty title="Nothing is found">None {what} on these channels. What comes to be from now on appears here by itself.</Empty>;
}

function Toolbar({ state, found }: { readonly state: WatchedStateState; readonly found: number }): ReactElement {
  const { things, cut } = state;
  return (
    <Group justify="space-between" gap="xs">
      <Group gap="xs">
        <Freshness state={state} />
      </Group>
      <Text size="sm" c="dimmed" className="figures" data-things={found}>
        {found === things.length ? '' : `${count(found)} of `}
        {cut === undefined
          ? `${count(things.length)} in all`
          : `the ${count(things.length)} that changed last, of about ${count(cut.total)}: narrow them by channel, key or “Open only”`}
      </Text>
    </Group>
  );
}

/** Ids of the columns that are no fields begin with what no field needs to begin with. */
function columnsOf(fields: readonly ScalarField[]): Column<Thing>[] {
  const [first] = fields;
  const time = fields.findLast(({ kind }) => kind === 'time');
  return [
    column<Thing>('@key', {
      header: 'Key',
      value: ({ key }) => key,
      cell: ({ entity, channel, key }) => (
        <Anchor
          size="sm"
          className={classes['name']}
          title={legible(key)}
          renderRoot={(props) => <Link {...props} to="/state/thing" search={{ entity, channel, key }} />}
        >
          {legible(key)}
        </Anchor>
      ),
    }),
    column<Thing>('@channel', {
      header: 'Channel',
      value: ({ channel }) => channel,
      cell: ({ channel }) => (
        <span className={classes['name']} title={channel}>
          {channel}
        </span>
      ),
      wideOnly: true,
    }),
    column<Thing>('@open', {
      header: 'Open',
      value: ({ open }) => openText(open),
      cell: ({ open }) => (
        <Text size="sm" c={open ? 'var(--mantine-color-text)' : 'dimmed'}>
          {openText(open)}
        </Text>
      ),
    }),
    ...fields.map((field) => columnOf(field, field !== first && field !== time)),
    column<Thing>('@position', {
      header: 'Position',
      value: ({ id }) => numberIn(id),
      // All are of one log, which the rest of the position names.
      cell: ({ id }) => <span title={`Last change: ${id}`}>{numberIn(id)}</span>,
      numeric: true,
      wideOnly: time !== undefined,
    }),
  ];
}

function numberIn(position: string): number {
  return Number(position.split('-')[1]);
}

function columnOf({ name, kind }: ScalarField, wideOnly: boolean): Column<Thing> {
  const sorted = ({ state }: Thing) => {
    const value = state[name];
    if (kind === 'time') return timeIn(value)?.getTime() ?? 0;
    if (kind === 'number') return typeof value === 'number' ? value : Number.NEGATIVE_INFINITY;
    return value === undefined || value === null ? '' : textOf(value);
  };
  return column<Thing>(`.${name}`, {
    header: name,
    value: sorted,
    cell: ({ state }) => <Scalar value={state[name]} kind={kind} max={40} isShort />,
    numeric: kind === 'number' || kind === 'time',
    wideOnly,
  });
}

export function OpenBadge({ open }: { readonly open: boolean }): ReactElement {
  return (
    <Badge variant="dot" color={open ? 'teal' : 'gray'} tt="none" data-open={open}>
      {openText(open)}
    </Badge>
  );
}

function openText(open: boolean): string {
  return open ? 'open' : 'closed';
}

function has({ key, channel, state }: Thing, fields: readonly ScalarField[], text: string): boolean {
  if (text === '' || key.toLowerCase().includes(text) || channel.toLowerCase().includes(text)) return true;
  return fields.some(({ name }) => {
    const value = state[name];
    return value !== undefined && value !== null && textOf(value).toLowerCase().includes(text);
  });
}
