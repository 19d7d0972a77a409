/**
 * What events make of Lumiere's entities, written anew from what the documents say of them, and from nothing of the gateway: a mistake that
 * is made in one place only shows as a difference.
 *
 * A rule is given the state before (undefined where there was none), the data of the event and when it was. It returns the state after, or
 * `SAME` where the event changes nothing.
 */
import { isNothing, rest, sum } from './decimals.js';

const SAME = Symbol('same');

/** Why something failed: these fields of the event and no other. */
function reason(data) {
  const said = { code: data.code, message: data.message };
  return data.retryable === undefined ? said : { ...said, retryable: data.retryable };
}

function omitting(object, name) {
  const copy = { ...object };
  delete copy[name];
  return copy;
}

/** A piece of work, which a backtest and a job are: `prefix` of its events, `idField` that names it. */
function work(prefix, idField, families) {
  const orNew = (before, data, at) => before ?? { [idField]: data[idField], status: 'running', progress: 0, changed_at: at };
  return {
    families,
    keyFields: [idField],
    isOpen: (state) => state.status === 'running',
    rules: {
      [`${prefix}.started`]: (_before, data, at) => ({ ...data, status: 'running', progress: 0, started_at: at, changed_at: at }),
      [`${prefix}.progress`]: (before, data, at) => {
        const state = orNew(before, data, at);
        return state.status === 'running' ? { ...state, ...data, changed_at: at } : SAME;
      },
      [`${prefix}.completed`]: (before, data, at) => ({
        ...omitting(orNew(before, data, at), 'failure'),
        ...data,
        status: 'completed',
        progress: 1,
        changed_at: at,
      }),
      [`${prefix}.failed`]: (before, data, at) => ({ ...orNew(before, data, at), status: 'failed', failure: reason(data), changed_at: at }),
    },
  };
}

const ANYWHERE = ['global', 'user'];

const order = {
  families: [...ANYWHERE, 'strategy'],
  keyFields: ['order_id'],
  isOpen: (state) => state.status === 'open',
  rules: {
    'order.placed': (before, data, at) => {
      const filled = before === undefined ? '0' : before.filled_quantity;
      const left = rest(data.quantity, filled);
      let status = before === undefined ? 'open' : before.status;
      if (isNothing(left)) status = 'filled';
      return { ...before, ...data, status, filled_quantity: filled, remaining_quantity: left, placed_at: at, changed_at: at };
    },
    'order.filled': (before, data, at) => {
      const left = data.remaining_quantity ?? '0';
      const known = before ?? { status: 'open', filled_quantity: '0' };
      return {
        ...known,
        order_id: data.order_id,
        symbol: data.symbol,
        side: data.side,
        status: isNothing(left) ? 'filled' : known.status,
        filled_quantity: sum(known.filled_quantity, data.quantity),
        remaining_quantity: left,
        last_price: data.price,
        changed_at: at,
      };
    },
    'order.cancelled': (before, data, at) => {
      if (before?.status === 'filled') return SAME;
      const after = { order_id: data.order_id, filled_quantity: '0', ...before, status: 'cancelled', reason: data.reason, changed_at: at };
      if (data.symbol !== undefined) after.symbol = data.symbol;
      return after;
    },
  },
};

const position = {
  families: [...ANYWHERE, 'strategy'],
  keyFields: ['strategy_id', 'symbol'],
  isOpen: (state) => !isNothing(state.quantity),
  rules: { 'position.updated': (_before, data, at) => ({ ...data, changed_at: at }) },
};

/** A strategy's last backtest. */
function tested(status, more) {
  return (before, data, at, key) => {
    const backtest = { backtest_id: data.backtest_id, status, ...more(data), changed_at: at };
    return { strategy_id: key, status: 'unknown', ...before, last_backtest: backtest, changed_at: at };
  };
}

const strategy = {
  families: [...ANYWHERE, 'strategy'],
  keyFields: ['strategy_id'],
  isOpen: (state) => state.status !== 'failed',
  rules: {
    'strategy.generation.started': (before, data, at) => {
      const begun = { ...data, status: 'generating', progress: 0, started_at: at, changed_at: at };
      if (before?.last_backtest !== undefined) begun.last_backtest = before.last_backtest;
      return begun;
    },
    'strategy.generation.progress': (before, data, at) => {
      if (before?.status === 'generated' || before?.status === 'failed') return SAME;
      return { ...before, ...data, status: 'generating', changed_at: at };
    },
    'strategy.generation.completed': (before, data, at) => ({
      ...omitting(before ?? {}, 'failure'),
      ...data,
      status: 'generated',
      progress: 1,
      changed_at: at,
    }),
    'strategy.generation.failed': (before, data, at, key) => ({
      strategy_id: key,
      ...before,
      status: 'failed',
      failure: reason(data),
      changed_at: at,
    }),
    'backtest.started': tested('running', () => ({})),
    'backtest.completed': tested('completed', (data) => ({ metrics: data.metrics })),
    'backtest.failed': tested('failed', (data) => ({ failure: reason(data) })),
  },
};

export const ENTITIES = {
  strategy,
  backtest: work('backtest', 'backtest_id', [...ANYWHERE, 'strategy', 'backtest']),
  order,
  position,
  job: work('forge.job', 'job_id', [...ANYWHERE, 'forge.job']),
};

/** The field of a family's channels that their last segment is. */
const CHANNEL_FIELD = { user: 'user_id', strategy: 'strategy_id', backtest: 'backtest_id', 'forge.job': 'job_id' };

/** A field within a key: what would end or escape a field, and what cannot be seen, as `%2F`. */
function escaped(text) {
  let all = '';
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    const isSpecial = code < 32 || code === 127 || code === 37 || code === 47;
    all += isSpecial ? `%${code < 16 ? '0' : ''}${code.toString(16).toUpperCase()}` : text.charAt(at);
  }
  return all;
}

function keyOf(keyFields, { channel, data }) {
  const dot = channel.lastIndexOf('.');
  const own = CHANNEL_FIELD[channel.slice(0, dot)];
  const parts = keyFields.map((field) => data[field] ?? (field === own ? channel.slice(dot + 1) : undefined));
  return parts.some((part) => typeof part !== 'string') ? undefined : parts.map(escaped).join('/');
}

/** By `[channel, entity, key]`: the state, whether it goes on, and the id of the event that changed it last. */
export function foldAll(events) {
  const things = new Map();
  for (const event of events) {
    const dot = event.channel.lastIndexOf('.');
    const family = dot < 0 ? event.channel : event.channel.slice(0, dot);
    for (const [entity, { families, keyFields, isOpen, rules }] of Object.entries(ENTITIES)) {
      const rule = families.includes(family) ? rules[event.type] : undefined;
      const key = rule && keyOf(keyFields, event);
      if (key === undefined) continue;
      const name = JSON.stringify([event.channel, entity, key]);
      const state = rule(things.get(name)?.state, event.data, event.metadata.timestamp, key);
      // As JSON has it: a field that is undefined is absent.
      if (state !== SAME) things.set(name, { id: event.id, open: isOpen(state), state: JSON.parse(JSON.stringify(state)) });
    }
  }
  return things;
}
