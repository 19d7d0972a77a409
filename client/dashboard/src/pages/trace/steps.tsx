/** The events of a piece of work in their order, each with the time since the first, or its number. */
import { Text, UnstyledButton } from '@mantine/core';
import type { ReactElement } from 'react';
import type { ServedEvent } from '../../contract/served.ts';
import { count, milliseconds } from '../../parts/format.ts';
import { SourceMark } from '../../parts/source-mark.tsx';
import { VirtualList } from '../../parts/virtual-list.tsx';
import { summaryOf } from '../stream/summary.ts';
import type { Axis } from './spans.ts';
import classes from './steps.module.css';

const ROW_HEIGHT = 32;
const MAX_IN_SIGHT = 14;

interface StepsProps {
  readonly events: readonly ServedEvent[];
  readonly axis: Axis;
  readonly onChoose: (id: string) => void;
}

export function Steps({ events, axis, onChoose }: StepsProps): ReactElement {
  return (
    <VirtualList
      label="Events in order"
      style={{ maxHeight: ROW_HEIGHT * MAX_IN_SIGHT }}
      count={events.length}
      rowAt={(index) => events[index]}
      rowId={({ id }) => id}
      rowHeight={ROW_HEIGHT}
    >
      {(event) => <Step event={event} axis={axis} onChoose={onChoose} />}
    </VirtualList>
  );
}

interface StepProps extends Omit<StepsProps, 'events'> {
  readonly event: ServedEvent;
}

function Step({ event, axis, onChoose }: StepProps): ReactElement {
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
