/** What the tests of states begin with: clients, orders that are published, and the fold that a map of them must equal. */
import { CourierClient, type EntityIn, type EventDraft, type StateMap } from '../../client/src/index.ts';
import type { Entity, FoldedEvent } from '../../src/contract/entities.ts';
import { contract } from '../helpers/lumiere.ts';

/** Short delays, so that nobody waits long for an attempt. */
export const QUICK = { minDelayMs: 5, maxDelayMs: 50, busyDelayMs: 5 };

export function clientOf({ url }: { readonly url: string }, token: string): CourierClient {
  return new CourierClient({ url, token, retry: QUICK });
}

export function placed(order: string, { strategy = 's1', symbol = 'SPX' } = {}) {
  const data = { order_id: order, symbol, side: 'buy', order_type: 'market', quantity: '10' } as const;
  return { type: 'order.placed', channel: `strategy.${strategy}`, data } as const satisfies EventDraft;
}

/** Fills a part of an order, or the rest of it. */
export function filled(order: string, remaining = '0', { strategy = 's1', symbol = 'SPX' } = {}) {
  const data = { order_id: order, symbol, side: 'buy', quantity: '1', price: '5', remaining_quantity: remaining } as const;
  return { type: 'order.filled', channel: `strategy.${strategy}`, data } as const satisfies EventDraft;
}

export function moved(symbol: string, quantity: string, strategy = 's1') {
  const data = { strategy_id: strategy, symbol, quantity, average_price: '5' };
  return { type: 'position.updated', channel: `strategy.${strategy}`, data } as const satisfies EventDraft;
}

/** By channel and key, the states of an entity that the stored events fold to. */
export async function foldOf(client: CourierClient, name: EntityIn): Promise<Record<string, object>> {
  const entity = contract.entities.get(name) as Entity;
  const states: Record<string, object> = {};
  for await (const event of client.iterateHistory('**', { onGap: 'fail' })) {
    if (!entity.types.includes(event.type)) continue;
    const plain = JSON.parse(JSON.stringify(event)) as FoldedEvent;
    const thing = `${plain.channel} ${entity.keyOf(plain)}`;
    const { state } = entity.fold(states[thing], plain);
    if (state !== undefined) states[thing] = state;
  }
  return states;
}

/** The same of a map. */
export function shownBy(map: Pick<StateMap, 'items'>): Record<string, unknown> {
  return Object.fromEntries(map.items().map(({ channel, key, state }) => [`${channel} ${key}`, state]));
}

/** Resolves once something holds, which is looked at after each change of a map. */
export function until(map: Pick<StateMap, 'subscribe'>, holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (!holds()) return;
      stop();
      resolve();
    };
    const stop = map.subscribe(check);
    check();
  });
}
