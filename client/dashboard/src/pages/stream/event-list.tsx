/** The events, newest first. Only those in sight are in the page, so that thousands cost no more than a few. */
import { Text, UnstyledButton } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type KeyboardEvent, type ReactElement, type ReactNode, useRef } from 'react';
import { momentOf } from '../../parts/format.ts';
import { Legible } from '../../parts/legible.tsx';
import { SourceMark } from '../../parts/source-mark.tsx';
import classes from './event-list.module.css';
import type { Row } from './feed.ts';
import { summaryOf } from './summary.ts';

const HEIGHT = { wide: 34, narrow: 58 };
const OVERSCAN = 10;

interface EventListProps {
  /** Oldest first. */
  readonly rows: readonly Row[];
  readonly chosen: string | undefined;
  readonly onChoose: (id: string) => void;
  /** Told whether the newest is in sight. */
  readonly onScroll: (isAtNewest: boolean) => void;
  /** What follows the oldest. */
  readonly end: ReactNode;
}

export function EventList({ rows, chosen, onChoose, onScroll, end }: EventListProps): ReactElement {
  const scroller = useRef<HTMLElement>(null);
  const isNarrow = useMediaQuery('(max-width: 48em)') ?? false;
  const height = isNarrow ? HEIGHT.narrow : HEIGHT.wide;
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    overscan: OVERSCAN,
  });
  const rowAt = (index: number) => rows[rows.length - 1 - index];
  const move = (event: KeyboardEvent, index: number) => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const next = Math.min(Math.max(index + step, 0), rows.length - 1);
    virtual.scrollToIndex(next);
    requestAnimationFrame(() => scroller.current?.querySelector<HTMLElement>(`[data-index="${next}"] button`)?.focus());
  };
  return (
    <section
      ref={scroller}
      className={classes['scroller']}
      onScroll={(event) => onScroll(event.currentTarget.scrollTop < height)}
      aria-label="Events"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled with the keyboard
      tabIndex={0}
    >
      <ul className={classes['list']} style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map(({ index, start }) => {
          const row = rowAt(index);
          if (row === undefined) return null;
          return (
            <li
              key={row.id}
              data-index={index}
              data-event={row.id}
              aria-setsize={rows.length}
              aria-posinset={index + 1}
              className={classes['row']}
              style={{ height, transform: `translateY(${start}px)` }}
            >
              {row.kind === 'gap' ? (
                <Text size="sm" c="var(--mantine-color-error)" className={classes['gap']}>
                  Events are missing here ({row.gap.reason}): those after {row.gap.requested}
                </Text>
              ) : (
                <UnstyledButton
                  className={classes['event']}
                  aria-pressed={row.id === chosen}
                  onClick={() => onChoose(row.id)}
                  onKeyDown={(event) => move(event, index)}
                >
                  <EventCells row={row} />
                </UnstyledButton>
              )}
            </li>
          );
        })}
      </ul>
      {end}
    </section>
  );
}

function EventCells({ row: { event } }: { readonly row: Extract<Row, { kind: 'event' }> }): ReactElement {
  const { channel, type, metadata, data } = event;
  return (
    <>
      <span className={classes['time']}>{momentOf(metadata.timestamp)}</span>
      <span className={classes['source']}>
        <SourceMark source={metadata.source} />
        <Legible max={40}>{metadata.source}</Legible>
      </span>
      <span className={classes['type']}>{type}</span>
      <span className={classes['channel']}>{channel}</span>
      <span className={classes['data']}>{summaryOf(data)}</span>
    </>
  );
}
