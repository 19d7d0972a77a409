/** A scalar of a state. */
import { Text } from '@mantine/core';
import type { ReactElement } from 'react';
import { momentOf } from '../../parts/format.ts';
import { Legible } from '../../parts/legible.tsx';
import type { ScalarField } from './fields.ts';

interface ScalarProps {
  readonly value: unknown;
  readonly kind: ScalarField['kind'];
  /** Characters that are shown. */
  readonly max: number;
  /** Times without milliseconds: a table has little room. */
  readonly isShort?: boolean;
}

export function Scalar({ value, kind, max, isShort = false }: ScalarProps): ReactElement {
  if (value === undefined || value === null)
    return (
      <Text span c="dimmed">
        –
      </Text>
    );
  const time = kind === 'time' ? timeIn(value) : undefined;
  if (time !== undefined) return <span title={String(value)}>{isShort ? momentOf(time).replace(/\.\d+$/, '') : momentOf(time)}</span>;
  return <Legible max={max}>{textOf(value)}</Legible>;
}

/** What is not of the schema's form is told as JSON. */
export function textOf(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

export function timeIn(value: unknown): Date | undefined {
  const time = typeof value === 'string' ? new Date(value) : undefined;
  return time === undefined || Number.isNaN(time.getTime()) ? undefined : time;
}
