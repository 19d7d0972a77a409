/** One chart of values over the last 15 minutes: uPlot draws it, and a text beside it has the values. */
import 'uplot/dist/uPlot.min.css';
import { Card, Group, Text, Title, useComputedColorScheme, useMantineTheme } from '@mantine/core';
import { useElementSize, useMergedRef } from '@mantine/hooks';
import { type ReactElement, useEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';

export interface ChartLine {
  readonly label: string;
  /** A colour of the theme. */
  readonly color: string;
}

interface ChartProps {
  readonly title: string;
  readonly unit: string;
  readonly format: (value: number) => string;
  /** Whether there is nothing between 0 and 1. */
  readonly isWhole?: boolean | undefined;
  readonly lines: readonly ChartLine[];
  /** In seconds since 1970, ascending. */
  readonly times: readonly number[];
  /** The values of each line; null for an interval without one. */
  readonly values: readonly (readonly (number | null)[])[];
}

const HEIGHT = 180;
const WINDOW_S = 15 * 60;
/** The shortest span of time that a chart shows. */
const MIN_WINDOW_S = 60;
const AXIS_SIZE = 62;
const TIME_AXIS_SIZE = 28;
/** From the middle of a time to that of the next, at least. */
const TIME_SPACE = 72;
/** Half of a time is right of its tick, which may be at the end. */
const PADDING: uPlot.Padding = [null, 28, null, null];

const WHOLE_STEPS = Array.from({ length: 8 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();

export function Chart({ title, unit, format, isWhole = false, lines, times, values }: ChartProps): ReactElement {
  const parent = useRef<HTMLDivElement>(null);
  const { ref: measured, width } = useElementSize<HTMLDivElement>();
  const ref = useMergedRef(parent, measured);
  const { colors } = useMantineTheme();
  const scheme = useComputedColorScheme();
  const shade = scheme === 'dark' ? 4 : 8;
  const colorOf = ({ color }: ChartLine) => colors[color]?.[shade] ?? color;
  const plot = useRef<uPlot>(undefined);
  const [pointed, setPointed] = useState<number>();
  const data = useMemo(() => [[...times], ...values.map((line) => [...line])] as uPlot.AlignedData, [times, values]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a chart is made anew when it looks otherwise, and given what is new else
  useEffect(() => {
    if (parent.current === null || width === 0) return undefined;
    const text = scheme === 'dark' ? colors.dark[1] : colors.gray[7];
    const grid = { stroke: scheme === 'dark' ? colors.dark[5] : colors.gray[2], width: 1 };
    const axis = { stroke: text as string, grid: grid as uPlot.Axis.Grid, ticks: { show: false }, font: '12px system-ui' };
    const made = new uPlot(
      {
        width,
        height: HEIGHT,
        padding: PADDING,
        legend: { show: false },
        cursor: { y: false, points: { size: 6 } },
        scales: {
          x: { range: (_, first, last) => [Math.max(last - WINDOW_S, Math.min(first, last - MIN_WINDOW_S)), last] },
          y: { range: (_, __, most) => [0, Math.max(most * 1.1, 1)] },
        },
        axes: [
          { ...axis, size: TIME_AXIS_SIZE, space: TIME_SPACE, values: (_, ticks) => ticks.map(timeOf) },
          { ...axis, size: AXIS_SIZE, values: (_, ticks) => ticks.map(format), ...(isWhole && { incrs: WHOLE_STEPS }) },
        ],
        series: [
          {},
          ...lines.map((line) => ({ label: line.label, stroke: colorOf(line), width: 1.5, spanGaps: false, points: { size: 4 } })),
        ],
        hooks: { setCursor: [({ cursor: { idx } }) => setPointed(idx ?? undefined)] },
      },
      data,
      parent.current,
    );
    plot.current = made;
    return () => {
      plot.current = undefined;
      made.destroy();
    };
  }, [width, scheme, lines]);

  useEffect(() => plot.current?.setData(data), [data]);

  const index = pointed ?? times.length - 1;
  const shown = (line: number) => {
    const value = values[line]?.[index];
    return value === null || value === undefined ? '–' : format(value);
  };
  const at = times[index];
  return (
    <Card data-chart={title}>
      <Group justify="space-between" gap="xs" mb={4}>
        <Title order={2} size="h5">
          {title}
          <Text span size="sm" c="dimmed" fw={400}>
            {` ${unit}`}
          </Text>
        </Title>
        <Text size="xs" c="dimmed" className="figures">
          {pointed === undefined || at === undefined ? '' : timeOf(at)}
        </Text>
      </Group>
      <Group gap="sm" mb={4}>
        {lines.map((line, position) => (
          <Group key={line.label} gap={6} wrap="nowrap">
            <span aria-hidden className="swatch" style={{ background: colorOf(line) }} />
            <Text size="xs" className="figures">
              {line.label} <b>{shown(position)}</b>
            </Text>
          </Group>
        ))}
      </Group>
      <div
        ref={ref}
        role="img"
        aria-label={`${title}, ${unit}, of the last 15 minutes: ${lines.map(({ label }, line) => `${label} ${shown(line)}`).join(', ')}`}
        style={{ minHeight: HEIGHT }}
      />
    </Card>
  );
}

function timeOf(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString('en-GB');
}
