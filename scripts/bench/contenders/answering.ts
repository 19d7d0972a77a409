/** What servers answer to a publish of the benchmark that is checked and stored nowhere: the limit of what theirs may cost. */
let seq = 0;

export interface Published {
  readonly channel: string;
  readonly type: string;
}

export function receiptOf({ channel, type }: Published) {
  return { id: `e-${++seq}`, channel, type, timestamp: new Date(), duplicate: false };
}
