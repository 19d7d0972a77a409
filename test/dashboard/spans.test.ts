/** The lanes of a trace: what events are about, as the contract says. */
import { expect, test } from 'vitest';
import type { ServedEvent } from '../../client/dashboard/src/contract/served.ts';
import { axisOf, lanesOf } from '../../client/dashboard/src/pages/trace/spans.ts';
import type { ContractDocument } from '../../src/contract/document.ts';
import { sampleEvent } from '../../src/contract/samples.ts';
import * as docks from '../helpers/docks.ts';
import * as lumiere from '../helpers/lumiere.ts';

function laneOf(document: ContractDocument, type: string, data?: object): string | undefined {
  const { metadata, ...event } = sampleEvent(document, type, data);
  const events = [{ ...event, metadata: { ...metadata, timestamp: new Date(metadata.timestamp) } } as ServedEvent];
  return lanesOf(events, axisOf(events), document)[0]?.name;
}

test.each([
  ['strategy.generation.started', 'strategy s1'],
  ['backtest.progress', 'backtest b1'],
  ['forge.job.failed', 'job j1'],
  ['trade.executed', 'order o1'],
  ['order.cancelled', 'order o1'],
  ['position.updated', 'position SPX'],
])("of Lumiere's %s is %s", (type, lane) => {
  expect(laneOf(lumiere.DOCUMENT, type)).toBe(lane);
});

test.each([
  // By the subject that the type names, which is no id.
  ['container.released', { container: 'MSKU-1', ship_id: 'aurora' }, 'container MSKU-1'],
  // Without a subject, by the id of a family that carries it.
  ['tug.sent', { tug: 'Terrier', ship_id: 'aurora' }, 'ship aurora'],
  ['tug.sent', { tug: 'Bulldog' }, 'tug.sent'],
  ['tide.turned', { to: 'ebb' }, 'tide.turned'],
  // Of a type that the contract has not any more.
  ['buoy.lit', { buoy_id: 'b1' }, 'buoy.lit'],
])("of the docks' %s with %j is %s", (type, data, lane) => {
  expect(laneOf(docks.DOCUMENT, type, data)).toBe(lane);
});

test('of any type is the type while the contract is not known', () => {
  const events = [
    { id: 'a-1', type: 'ship.sailed', channel: 'ship.a', metadata: { timestamp: new Date(), source: 'pilots' }, data: { ship_id: 'a' } },
  ] as ServedEvent[];
  expect(lanesOf(events, axisOf(events), undefined)[0]?.name).toBe('ship.sailed');
});
