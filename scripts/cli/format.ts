/** How events look on a terminal: aligned, one line each, coloured only where colours are wanted. */
import { printable } from '../../src/errors.ts';
import type { Line, Style } from './line.ts';

/** What the commands print, whatever its type. */
export interface PrintedEvent {
  readonly id: string;
  readonly channel: string;
  readonly type: string;
  readonly metadata: { readonly timestamp: Date; readonly source: string };
  readonly data: object;
}

/** How the type of an event is coloured. */
export function styleOf(type: string): Style {
  if (type.endsWith('.failed') || type.endsWith('.cancelled')) return 'red';
  if (type.endsWith('.completed') || type.endsWith('.filled') || type.endsWith('.executed')) return 'green';
  return 'cyan';
}

/** The time of today's events, the date of older ones. */
function timeText(timestamp: Date): string {
  const text = timestamp.toISOString();
  const today = new Date().toISOString().slice(0, 10);
  return text.startsWith(today) ? text.slice(11, 23) : text.slice(0, 10).padEnd(12);
}

/** `12:00:00.000  backtest.b1  backtest.progress  cartographe  backtest_id=b1 progress=0.5` */
export function eventLine(event: PrintedEvent): Line {
  return [
    { style: 'dim', text: timeText(event.metadata.timestamp) },
    ` ${column(event.channel, 24)} `,
    { style: styleOf(event.type), text: column(event.type, 30) },
    ' ',
    { style: 'dim', text: column(event.metadata.source, 12) },
    ` ${dataText(event.data)}`,
  ];
}

function column(text: string, width: number): string {
  return printable(text).padEnd(width);
}

function dataText(data: object): string {
  return Object.entries(data)
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
}
