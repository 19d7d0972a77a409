/** The health and the figures of the gateway, now and in the last 15 minutes. */
import { Badge, Card, Grid, Group, SimpleGrid, Stack, Text, Title } from '@mantine/core';
import { lazy, type ReactElement, Suspense } from 'react';
import type { Series, Stats } from '../../../../../src/contract/admin.ts';
import { Facts } from '../../parts/facts.tsx';
import { bytes, count, duration, milliseconds, rate } from '../../parts/format.ts';
import { useSeries, useStats } from '../../parts/queries.ts';
import { Loaded, Loading } from '../../parts/states.tsx';
import { HealthCard } from './health.tsx';

const Charts = lazy(async () => ({ default: (await import('./charts.tsx')).Charts }));

export function Overview(): ReactElement {
  const stats = useStats();
  const series = useSeries();
  return (
    <Stack>
      <Title order={1} size="h3">
        Overview
      </Title>
      <Loaded what="Figures" query={stats} rows={2}>
        {(figures) => <Figures stats={figures} series={series.data} />}
      </Loaded>
      <HealthCard />
      <Loaded what="The last 15 minutes" query={series} rows={8}>
        {(loaded) => (
          <Suspense fallback={<Loading label="Charts" rows={8} />}>
            <Charts series={loaded} />
          </Suspense>
        )}
      </Loaded>
      <Loaded what="The log" query={stats} rows={2}>
        {(figures) => <LogCard stats={figures} />}
      </Loaded>
    </Stack>
  );
}

function Figures({ stats, series }: { readonly stats: Stats; readonly series: Series | undefined }): ReactElement {
  const delivery = series?.samples.findLast(({ delivery_ms }) => delivery_ms !== null)?.delivery_ms;
  return (
    <SimpleGrid cols={{ base: 2, sm: 3, lg: 6 }}>
      <Figure label="Published" note="a second, last minute" value={rate(stats.rates.published)} name="published" />
      <Figure label="Delivered" note="a second, last minute" value={rate(stats.rates.delivered)} name="delivered" />
      <Figure
        label="Delivery p99"
        note="commit to socket"
        value={delivery === null || delivery === undefined ? '–' : milliseconds(delivery.p99)}
        name="delivery"
      />
      <Figure
        label="Connections"
        note={`${count(stats.subscriptions)} subscriptions`}
        value={count(stats.connections.total)}
        name="connections"
      />
      <Figure label="Events" note={`${bytes(stats.log.bytes)} of log`} value={count(stats.log.events)} name="events" />
      <Figure
        label="Failures"
        note="a second, last minute"
        value={rate(stats.rates.failures)}
        name="failures"
        color={stats.rates.failures > 0 ? 'var(--mantine-color-error)' : undefined}
      />
    </SimpleGrid>
  );
}

interface FigureProps {
  readonly label: string;
  readonly note: string;
  readonly value: string;
  readonly name: string;
  readonly color?: string | undefined;
}

function Figure({ label, note, value, name, color }: FigureProps): ReactElement {
  return (
    <Card padding="sm" data-figure={name}>
      <Text size="sm" c="dimmed">
        {label}
      </Text>
      <Text className="figures" fw={700} fz={26} lh={1.3} {...(color !== undefined && { c: color })}>
        {value}
      </Text>
      <Text size="xs" c="dimmed">
        {note}
      </Text>
    </Card>
  );
}

function LogCard({ stats }: { readonly stats: Stats }): ReactElement {
  const { log } = stats;
  return (
    <Grid>
      <Grid.Col span={{ base: 12, md: 6 }}>
        <Card>
          <Title order={2} size="h5" mb="xs">
            Log
          </Title>
          <Facts
            facts={[
              ['Head', log.head],
              ['First retained', log.first_retained],
              ['Events retained', count(log.events)],
              ['Size', bytes(log.bytes)],
              ['Pages read for subscribers', count(log.reads)],
            ]}
          />
        </Card>
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 6 }}>
        <Card>
          <Title order={2} size="h5" mb="xs">
            Gateway
          </Title>
          <Facts
            facts={[
              ['Version', stats.version],
              ['Instances', count(stats.instances)],
              ['Workers', count(stats.workers)],
              ['Up for', duration(stats.uptime)],
              ['Contract', stats.contract],
              [
                'Connections by role',
                <Group key="roles" gap={4}>
                  {Object.entries(stats.connections.role).map(([role, connections]) => (
                    <Badge key={role} variant="default" tt="none">
                      {role} {connections}
                    </Badge>
                  ))}
                </Group>,
              ],
            ]}
          />
        </Card>
      </Grid.Col>
    </Grid>
  );
}
