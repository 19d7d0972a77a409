/** The events of a piece of work in their order, each with the time since it began. */

import type { CourierEvent } from '@lumiere/courier-client';
import { Text, UnstyledButton } from '@mantine/core';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactElement, useRef } from 'react';
import { count, milliseconds } from '../../parts/format.ts';
import { SourceMark } from '../../parts/source-mark.tsx';
import { summaryOf } from '../stream/summary.ts';
import type { Axis } from './spans.ts';
import classes from './steps.module.css';

const ROW_HEIGHT = 32;
const MAX_IN_SIGHT = 14;

interface StepsProps {
  readonly events: readonly CourierEvent[];
  readonly axis: Axis;
  readonly onChoose: (id: string) => void;
}

export function Steps({ events, axis, onChoose }: StepsProps): ReactElement {
  const scroller = useRef<HTMLElement>(null);
  const virtual = useVirtualizer({
    count: events.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 10,
  });
  return (
    <section
      ref={scroller}
      className={classes['scroller']}
      style={{ maxHeight: ROW_HEIGHT * MAX_IN_SIGHT }}
      aria-label="Events in order"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled with the keyboard
      tabIndex={0}
    >
      <ol className={classes['list']} style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map(({ index, start }) => {
          const event = events[index];
          return (
            event !== undefined && (
              <li
                key={event.id}
                className={classes['row']}
                style={{ height: ROW_HEIGHT, transform: `translateY(${start}px)` }}
                aria-setsize={events.length}
                aria-posinset={index + 1}
              >
                <Step event={event} axis={axis} onChoose={onChoose} />
              </li>
            )
          );
        })}
      </ol>
    </section>
  );
}

function Step({
  event,
  axis,
  onChoose,
}: {
  readonly event: CourierEvent;
  readonly axis: Axis;
  readonly onChoose: StepsProps['onChoose'];
}): ReactElement {
  const { id, type, channel, metadata, data } = event;
  return (
    <UnstyledButton className={classes['step']} onClick={() => onChoose(id)}>
      <Text span size="sm" c="dimmed" ta="right" className="figures">
        {axis.kind === 'time' ? milliseconds(axis.at(event) - axis.first) : count(axis.at(event))}
      </Text>
      <SourceMark source={metadata.source} />
      <Text span size="sm" fw={500} truncate>
        {type}
      </Text>
      <Text span size="sm" truncate>
        {channel}
      </Text>
      <Text span size="sm" c="dimmed" truncate className={classes['data']}>
        {summaryOf(data)}
      </Text>
    </UnstyledButton>
  );
}
