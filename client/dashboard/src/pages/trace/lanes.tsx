/** Lanes on an axis: a bar from the first to the last event about one thing, and a mark for each event. */
import { Group, Text, Tooltip } from '@mantine/core';
import type { ReactElement } from 'react';
import { count, milliseconds } from '../../parts/format.ts';
import { Legible, legible } from '../../parts/legible.tsx';
import { SourceMark, useSourceColor } from '../../parts/source-mark.tsx';
import classes from './lanes.module.css';
import type { Axis, Lane } from './spans.ts';

/** Marks in one lane, at most: those of the last events. */
const MAX_MARKS = 200;
const MAX_LANES = 100;

interface LanesProps {
  readonly lanes: readonly Lane[];
  readonly axis: Axis;
  readonly onChoose: (id: string) => void;
}

export function Lanes({ lanes, axis, onChoose }: LanesProps): ReactElement {
  const colorOf = useSourceColor();
  const span = Math.max(axis.last - axis.first, 1);
  const at = (place: number) => `${((place - axis.first) / span) * 100}%`;
  const tell = (place: number) =>
    axis.kind === 'time' ? `after ${milliseconds(place - axis.first)}` : `event ${count(Math.round(place))}`;
  return (
    <div className={classes['lanes']}>
      <div className={classes['axis']} aria-hidden>
        {[0, 0.25, 0.5, 0.75, 1].map((share) => (
          <Text key={share} span size="xs" c="dimmed" className="figures">
            {axis.kind === 'time' ? milliseconds(share * span) : count(Math.round(axis.first + share * span))}
          </Text>
        ))}
      </div>
      {lanes.slice(0, MAX_LANES).map((lane) => (
        <div key={`${lane.source} ${lane.name}`} className={classes['lane']} data-lane={lane.name}>
          <Group gap={6} wrap="nowrap" className={classes['name']}>
            <SourceMark source={lane.source} />
            <Text size="sm" truncate title={legible(`${lane.name} (${lane.source})`)}>
              <Legible>{lane.name}</Legible>
            </Text>
          </Group>
          <div className={classes['track']}>
            <div
              className={classes['bar']}
              style={{ left: at(lane.from), width: `${((lane.to - lane.from) / span) * 100}%`, background: colorOf(lane.source) }}
            />
            {lane.events.slice(-MAX_MARKS).map((event) => (
              <Tooltip key={event.id} label={`${event.type}, ${tell(axis.at(event))}`}>
                <button
                  type="button"
                  // The list below has the same events for the keyboard.
                  tabIndex={-1}
                  className={classes['mark']}
                  style={{ left: at(axis.at(event)), background: colorOf(lane.source) }}
                  onClick={() => onChoose(event.id)}
                  aria-label={`${event.type}, ${tell(axis.at(event))}`}
                />
              </Tooltip>
            ))}
          </div>
          <Text size="xs" c="dimmed" className="figures" ta="right">
            {axis.kind === 'time' ? milliseconds(lane.to - lane.from) : `${count(lane.events.length)} ev.`}
          </Text>
        </div>
      ))}
      {lanes.length > MAX_LANES && (
        <Text size="sm" c="dimmed">
          … and {lanes.length - MAX_LANES} more, in the list below
        </Text>
      )}
    </div>
  );
}
