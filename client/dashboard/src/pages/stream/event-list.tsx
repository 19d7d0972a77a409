/** The events, newest first. */
import { Text, UnstyledButton } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import type { ReactElement, ReactNode } from 'react';
import type { ServedEvent } from '../../contract/served.ts';
import { momentOf } from '../../parts/format.ts';
import { reasonOf } from '../../parts/gap-reason.ts';
import { Legible } from '../../parts/legible.tsx';
import { SourceMark } from '../../parts/source-mark.tsx';
import { VirtualList } from '../../parts/virtual-list.tsx';
import classes from './event-list.module.css';
import type { Row } from './shown-events.ts';
import { summaryOf } from './summary.ts';

const HEIGHT = { wide: 34, narrow: 58 };

interface EventListProps {
  /** Oldest first. */
  readonly rows: readonly Row[];
  readonly chosen: string | undefined;
  readonly onChoose: (id: string) => void;
  /** Whether few rows take little room; the list of all events keeps its height. */
  readonly isAsHighAsItsRows?: boolean;
  /** Called with whether the newest event is in sight. */
  readonly onScroll: (isAtNewest: boolean) => void;
  /** The content after the oldest event. */
  readonly end: ReactNode;
}

export function EventList({ rows, chosen, onChoose, isAsHighAsItsRows = false, onScroll, end }: EventListProps): ReactElement {
  const isNarrow = useMediaQuery('(max-width: 48em)') ?? false;
  const height = isNarrow ? HEIGHT.narrow : HEIGHT.wide;
  return (
    <VirtualList
      label="Events"
      className={`${classes['events']} ${isAsHighAsItsRows ? classes['short'] : ''}`}
      count={rows.length}
      rowAt={(index) => rows[rows.length - 1 - index]}
      rowId={({ id }) => id}
      rowHeight={height}
      onScroll={(top) => onScroll(top < height)}
      end={end}
    >
      {(row) =>
        row.kind === 'gap' ? (
          <Text size="sm" c="var(--mantine-color-error)" className={classes['gap']}>
            Events are missing here, after {row.gap.requested}: {reasonOf(row.gap)}
          </Text>
        ) : (
          <UnstyledButton className={classes['event']} aria-pressed={row.id === chosen} onClick={() => onChoose(row.id)}>
            <EventCells event={row.event} />
          </UnstyledButton>
        )
      }
    </VirtualList>
  );
}

function EventCells({ event }: { readonly event: ServedEvent }): ReactElement {
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
