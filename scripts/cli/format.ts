/** How events look on a terminal: aligned, one line each, coloured only where colours are wanted. */
import { styleText } from 'node:util';

/** What the commands print, whatever its type. */
export interface PrintedEvent {
  readonly id: string;
  readonly channel: string;
  readonly type: string;
  readonly metadata: { readonly timestamp: Date; readonly source: string };
  readonly data: object;
}

type Style = Parameters<typeof styleText>[0];

/** Styles `text` where `stream` shows colours; styleText itself heeds NO_COLOR and terminals. */
export function paint(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(style, text, { stream });
}

function styleOf(type: string): Style {
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
export function eventLine(event: PrintedEvent): string {
  return [
    paint('dim', timeText(event.metadata.timestamp)),
    event.channel.padEnd(24),
    paint(styleOf(event.type), event.type.padEnd(30)),
    paint('dim', printable(event.metadata.source).padEnd(12)),
    dataText(event.data),
  ].join(' ');
}

function dataText(data: object): string {
  const fields = Object.entries(data).map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return printable(fields.join(' '));
}

/** Text from elsewhere must not move the cursor or change the colours. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\uFFFD');
}
