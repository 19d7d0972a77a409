/** The state of one thing as fields: scalars as names and values, the rest as JSON. */
import { Card, Group, Stack, Text, Title } from '@mantine/core';
import type { ReactElement } from 'react';
import type { EntityOfState } from '../../../../../src/contract/document.ts';
import type { NameOfThing } from '../../contract/entities.ts';
import { CodeBlock, CopyText } from '../../parts/code.tsx';
import { Facts } from '../../parts/facts.tsx';
import { legible } from '../../parts/legible.tsx';
import { Empty, Failed, Loading } from '../../parts/states.tsx';
import { kindOf } from './fields.ts';
import { Freshness } from './freshness.tsx';
import classes from './present-state.module.css';
import { Scalar } from './scalar.tsx';
import { OpenBadge } from './things.tsx';
import { useWatchedState } from './use-watched-state.ts';
import type { Thing } from './watched-state.ts';

/** Characters of JSON of one field that the page shows, at most. */
const MAX_JSON = 20_000;

export function PresentState({ entity, name }: { readonly entity: EntityOfState; readonly name: NameOfThing }): ReactElement {
  const { channel, key } = name;
  const state = useWatchedState({ channels: [channel], entity: name.entity, key });
  const [thing] = state.things;
  return (
    <Stack gap="sm">
      <Group gap="xs">
        <Freshness state={state} />
        {thing !== undefined && <OpenBadge open={thing.open} />}
        {thing !== undefined && (
          <Group gap={6} data-position={thing.id}>
            <Text size="sm" c="dimmed">
              last change
            </Text>
            <CopyText text={thing.id} what="the position" />
          </Group>
        )}
      </Group>
      {state.status === 'failed' && <Failed what="The state" error={new Error(state.error)} />}
      {thing === undefined && state.status === 'loading' && <Loading label="State" rows={4} />}
      {thing === undefined && state.status === 'live' && (
        <Empty title="There is no such thing now">
          No event has made one with this key on this channel, or it has been forgotten since: what is not open is, after some time.
        </Empty>
      )}
      {thing !== undefined && <Fields entity={entity} thing={thing} />}
    </Stack>
  );
}

function Fields({ entity, thing }: { readonly entity: EntityOfState; readonly thing: Thing }): ReactElement {
  const { properties = {} } = entity.state;
  const order = Object.keys(properties);
  // Those that the schema does not have come last.
  const placeOf = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length);
  const fields = Object.entries(thing.state).sort(([a], [b]) => placeOf(a) - placeOf(b));
  const scalars = fields.filter(([, value]) => typeof value !== 'object' || value === null);
  const others = fields.filter(([, value]) => typeof value === 'object' && value !== null);
  return (
    <Card>
      <div className={classes['fields']} data-fields>
        <Facts
          facts={scalars.map(([name, value]) => {
            const kind = Object.hasOwn(properties, name) ? kindOf(properties[name] ?? {}) : undefined;
            return [legible(name), <Scalar key={name} value={value} kind={kind ?? 'text'} max={2000} />] as const;
          })}
        />
      </div>
      {others.map(([name, value]) => (
        <div key={name}>
          <Title order={3} size="h6" mb={4} mt="xs">
            {legible(name)}
          </Title>
          <CodeBlock name={name}>{cut(JSON.stringify(value, null, 2))}</CodeBlock>
        </div>
      ))}
    </Card>
  );
}

function cut(json: string): string {
  return json.length > MAX_JSON ? `${json.slice(0, MAX_JSON)}…` : json;
}
