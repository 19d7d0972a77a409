/** The health of each component, and the action when one is not healthy. */
import { Badge, Card, Group, Stack, Text, Title } from '@mantine/core';
import type { ReactElement } from 'react';
import type { Component, HealthStatus } from '../../../../../src/contract/admin.ts';
import { bytes, count, milliseconds } from '../../parts/format.ts';
import { Legible } from '../../parts/legible.tsx';
import { useHealth } from '../../parts/queries.ts';
import { Loaded } from '../../parts/states.tsx';

const COLORS: Readonly<Record<HealthStatus, string>> = { healthy: 'teal', degraded: 'orange', unhealthy: 'red', shutting_down: 'orange' };
const NAMES: Readonly<Record<string, string>> = {
  websocket_server: 'WebSocket server',
  event_log: 'Event log',
  workers: 'Workers',
  broker: 'Broker',
  redis: 'Redis',
  memory: 'Memory',
  errors: 'Errors',
};

interface Figure {
  readonly label?: string;
  readonly format?: (value: number) => string;
}

const mebibytes = (value: number) => `${count(value)} MiB`;
/** By the names that `/health` has for programs. */
const FIGURES: Readonly<Record<string, Figure>> = {
  kind: { label: '' },
  active_channels: { label: 'channels' },
  event_loop_late_ms: { label: 'late by', format: milliseconds },
  head: { label: 'newest event' },
  first_retained: { label: 'oldest' },
  free_bytes: { label: 'free on disk', format: bytes },
  latency_ms: { label: 'answers in', format: milliseconds },
  usage_mb: { label: 'used', format: mebibytes },
  limit_mb: { label: 'limit', format: mebibytes },
  heap_used_bytes: { label: 'heap', format: bytes },
  heap_limit_bytes: { label: 'heap limit', format: bytes },
  rss_bytes: { label: 'process', format: bytes },
  last_minute: { label: 'in the last minute' },
  share_of_calls: { label: 'of calls', format: (share) => `${count(share * 100)} %` },
};
/** The same as another. */
const REPEATED: ReadonlySet<string> = new Set(['active_connections']);

export function HealthCard(): ReactElement {
  const health = useHealth();
  return (
    <Card>
      <Loaded what="The health" query={health}>
        {({ status, components }) => (
          <Stack gap="xs">
            <Group justify="space-between">
              <Title order={2} size="h5">
                Health
              </Title>
              <Health status={status} />
            </Group>
            {Object.entries(components).map(([name, component]) => (
              <ComponentRow key={name} name={name} component={component} />
            ))}
          </Stack>
        )}
      </Loaded>
    </Card>
  );
}

function ComponentRow({ name, component }: { readonly name: string; readonly component: Component }): ReactElement {
  const { status, action, ...figures } = component;
  return (
    <div data-component={name}>
      <Group justify="space-between" gap="xs" wrap="nowrap">
        <Text size="sm" fw={500}>
          {NAMES[name] ?? name}
        </Text>
        <Text size="sm" c="dimmed" visibleFrom="sm" flex={1} ta="right" truncate className="figures">
          {Object.entries(figures)
            .filter(([figure]) => !REPEATED.has(figure))
            .map(figureOf)
            .join(' · ')}
        </Text>
        <Health status={status} />
      </Group>
      {action !== undefined && (
        <Text size="sm" c="var(--mantine-color-error)" role="alert">
          <Legible>{action}</Legible>
        </Text>
      )}
    </div>
  );
}

function Health({ status }: { readonly status: HealthStatus }): ReactElement {
  return (
    <Badge variant="dot" color={COLORS[status]} tt="none" data-health={status}>
      {status.replace('_', ' ')}
    </Badge>
  );
}

function figureOf([name, value]: [string, unknown]): string {
  const { label = name.replaceAll('_', ' '), format = count } = FIGURES[name] ?? {};
  if (typeof value === 'object' && value !== null) return `${label}: ${Object.entries(value).map(figureOf).join(', ')}`;
  return `${label} ${typeof value === 'number' ? format(value) : String(value)}`.trim();
}
