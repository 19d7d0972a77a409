/** The last 15 minutes as charts. */
import { SimpleGrid } from '@mantine/core';
import { type ReactElement, useMemo } from 'react';
import type { Sample, Series } from '../../../../../src/contract/admin.ts';
import { count, milliseconds, rate } from '../../parts/format.ts';
import { Chart, type ChartLine } from './chart.tsx';

interface ChartOf {
  readonly title: string;
  readonly unit: string;
  readonly format: (value: number) => string;
  readonly isWhole?: boolean;
  readonly lines: readonly (ChartLine & { readonly of: (sample: Sample) => number | null })[];
}

const CHARTS: readonly ChartOf[] = [
  {
    title: 'Events',
    unit: 'a second',
    format: rate,
    lines: [
      { label: 'published', color: 'indigo', of: ({ rates }) => rates.published },
      { label: 'delivered', color: 'teal', of: ({ rates }) => rates.delivered },
      { label: 'replayed', color: 'grape', of: ({ rates }) => rates.replayed },
    ],
  },
  {
    title: 'Latency',
    unit: 'ms',
    format: milliseconds,
    lines: [
      { label: 'publish p50', color: 'indigo', of: ({ publish_ms }) => publish_ms?.p50 ?? null },
      { label: 'publish p99', color: 'blue', of: ({ publish_ms }) => publish_ms?.p99 ?? null },
      { label: 'delivery p50', color: 'teal', of: ({ delivery_ms }) => delivery_ms?.p50 ?? null },
      { label: 'delivery p99', color: 'lime', of: ({ delivery_ms }) => delivery_ms?.p99 ?? null },
    ],
  },
  {
    title: 'Connections',
    unit: 'open',
    format: count,
    isWhole: true,
    lines: [
      { label: 'connections', color: 'indigo', of: ({ connections }) => connections },
      { label: 'subscriptions', color: 'teal', of: ({ subscriptions }) => subscriptions },
    ],
  },
  {
    title: 'Errors',
    unit: 'a second',
    format: rate,
    lines: [
      { label: 'failures', color: 'red', of: ({ rates }) => rates.failures },
      { label: 'refused calls', color: 'orange', of: ({ rates }) => rates.refused },
    ],
  },
];

export function Charts({ series }: { readonly series: Series }): ReactElement {
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }}>
      {CHARTS.map((chart) => (
        <ChartCard key={chart.title} chart={chart} series={series} />
      ))}
    </SimpleGrid>
  );
}

function ChartCard({ chart, series }: { readonly chart: ChartOf; readonly series: Series }): ReactElement {
  const data = useMemo(() => {
    const times = series.samples.map(({ at }) => at.getTime() / 1000);
    return { times, values: chart.lines.map(({ of }) => series.samples.map(of)) };
  }, [chart, series]);
  return <Chart title={chart.title} unit={chart.unit} format={chart.format} isWhole={chart.isWhole} lines={chart.lines} {...data} />;
}
