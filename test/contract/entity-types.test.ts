/** The types of entities, checked by the compiler: a reducer knows its state and its events, and so does who watches them. */
import { expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import { defineContract, defineEntity, defineService, earlierVersion, type StateOf as StateOfSchema } from '../../src/contract/define.ts';
import type { FoldedEvent } from '../../src/contract/entities.ts';
import { id } from '../../src/contract/fields.ts';
import type { Channel, EntityName, State, StateItemOf } from '../../src/contract/types.ts';
import type { contract as harbour } from '../harbour/contract.ts';
import type { contract, StateOf } from '../helpers/lumiere.ts';

type Lumiere = typeof contract;

/** Never called: what is in it is only compiled. */
const compiled = (_code: () => unknown) => undefined;

const stations = defineService({
  events: {
    'station.measured': {
      on: ['station'],
      description: 'A station has measured.',
      data: z.strictObject({ station_id: id, celsius: z.number(), tags: z.array(z.string()).optional() }),
      examples: [{ station_id: 's', celsius: 1 }],
    },
    'station.closed': {
      on: ['station'],
      description: 'It is closed.',
      data: z.strictObject({ why: z.string() }),
      examples: [{ why: 'w' }],
    },
  },
});
const ships = defineService({
  events: {
    'ship.left': {
      on: ['station'],
      description: 'A ship has left.',
      data: z.strictObject({ ship: z.string() }),
      examples: [{ ship: 'x' }],
    },
  },
});
const state = z.strictObject({ celsius: z.number(), tags: z.array(z.string()).optional() });
const reading = {
  description: 'The last temperature of a station.',
  of: [stations, ships],
  types: ['station.measured'],
  key: ['station_id'],
  state,
  open: () => true,
} as const;

test('a reducer is given its state and the events of its types', () => {
  type Reading = StateOfSchema<typeof state>;
  expectTypeOf<Reading>().toEqualTypeOf<{ readonly celsius: number; readonly tags?: readonly string[] | undefined }>();
  compiled(() =>
    defineEntity({
      ...reading,
      types: ['station.measured', 'station.closed', 'ship.left'],
      reduce: (before, event) => {
        expectTypeOf(before).toEqualTypeOf<Reading | undefined>();
        expectTypeOf(event.type).toEqualTypeOf<'station.measured' | 'station.closed' | 'ship.left'>();
        expectTypeOf(event.metadata).toEqualTypeOf<FoldedEvent['metadata']>();
        expectTypeOf(event.metadata.timestamp).toEqualTypeOf<string>();
        if (event.type === 'station.closed') expectTypeOf(event.data.why).toEqualTypeOf<string>();
        if (event.type === 'ship.left') expectTypeOf(event.data).toEqualTypeOf<{ readonly ship: string }>();
        if (event.type !== 'station.measured') return undefined;
        expectTypeOf(event.data.tags).toEqualTypeOf<readonly string[] | undefined>();
        return { celsius: event.data.celsius };
      },
    }),
  );
  compiled(() => defineEntity({ ...reading, reduce: (before) => before, open: ({ celsius }) => celsius > 0 }));
  compiled(() =>
    defineEntity({
      ...reading,
      reduce: (before) => before,
      version: 2,
      migrate: { 1: earlierVersion(z.strictObject({ fahrenheit: z.number() }), ({ fahrenheit }) => ({ celsius: fahrenheit })) },
    }),
  );
});

test('what the compiler sees to be wrong does not compile', () => {
  // @ts-expect-error a state with a field of another type
  compiled(() => defineEntity({ ...reading, reduce: () => ({ celsius: '1' }) }));
  // @ts-expect-error a state without a field
  compiled(() => defineEntity({ ...reading, reduce: () => ({ tags: [] }) }));
  // @ts-expect-error a promise of a state
  compiled(() => defineEntity({ ...reading, reduce: async () => ({ celsius: 1 }) }));
  // @ts-expect-error null is no state
  compiled(() => defineEntity({ ...reading, reduce: () => null }));
  // @ts-expect-error a field that the data has not
  compiled(() => defineEntity({ ...reading, reduce: (_before, { data }) => ({ celsius: data.kelvin }) }));
  // @ts-expect-error data of a type that does not change it
  compiled(() => defineEntity({ ...reading, reduce: (_before, { data }) => ({ celsius: data.why.length }) }));
  // @ts-expect-error a type that is none of its own
  compiled(() => defineEntity({ ...reading, reduce: (before, { type }) => (type === 'station.closed' ? undefined : before) }));
  compiled(() =>
    defineEntity({
      ...reading,
      reduce: (before) => {
        // @ts-expect-error the state may be changed by nobody
        if (before !== undefined) before.celsius = 1;
        // @ts-expect-error nor what is in it
        before?.tags?.push('x');
        return before;
      },
    }),
  );
  compiled(() =>
    defineEntity({
      ...reading,
      reduce: (before, { data }) => {
        // @ts-expect-error an event is changed by nobody either
        data.celsius = 1;
        return before;
      },
    }),
  );
  // @ts-expect-error a type that no service of it publishes
  compiled(() => defineEntity({ ...reading, of: [ships], reduce: (before) => before }));
  // @ts-expect-error a type that is not there
  compiled(() => defineEntity({ ...reading, types: ['station.exploded'], reduce: (before) => before }));
  // @ts-expect-error no type
  compiled(() => defineEntity({ ...reading, types: [], reduce: (before) => before }));
  // @ts-expect-error no field for a key
  compiled(() => defineEntity({ ...reading, key: [], reduce: (before) => before }));
  // @ts-expect-error a state that is no object
  compiled(() => defineEntity({ ...reading, state: z.string(), reduce: (before) => before }));
  // @ts-expect-error open is yes or no
  compiled(() => defineEntity({ ...reading, reduce: (before) => before, open: ({ celsius }) => celsius }));
  const half = earlierVersion(z.strictObject({ fahrenheit: z.number() }), () => ({ tags: ['x'] }));
  // @ts-expect-error a migration that leaves a field out
  compiled(() => defineEntity({ ...reading, reduce: (before) => before, version: 2, migrate: { 1: half } }));
  // @ts-expect-error no reducer
  compiled(() => defineEntity({ ...reading }));
});

test('a contract knows the states of its entities', () => {
  const entity = defineEntity({ ...reading, reduce: (before) => before });
  const weather = () =>
    defineContract({
      name: 'weather',
      families: { station: { id: 'station_id' } },
      services: { stations, ships },
      entities: { reading: entity },
    });
  type Weather = ReturnType<typeof weather>;
  expectTypeOf<EntityName<Weather>>().toEqualTypeOf<'reading'>();
  expectTypeOf<State<Weather, 'reading'>>().toEqualTypeOf<z.output<typeof state>>();
  expectTypeOf<StateItemOf<Weather>['key']>().toEqualTypeOf<string>();
  // @ts-expect-error what is no entity
  compiled(() => defineContract({ name: 'x', families: {}, services: {}, entities: { reading: state } }));
});

test("Lumiere's entities", () => {
  expectTypeOf<EntityName<Lumiere>>().toEqualTypeOf<'backtest' | 'job' | 'order' | 'position' | 'strategy'>();
  expectTypeOf<StateOf<'order'>['status']>().toEqualTypeOf<'open' | 'filled' | 'cancelled'>();
  expectTypeOf<StateOf<'order'>['filled_quantity']>().toEqualTypeOf<string>();
  expectTypeOf<StateOf<'position'>['strategy_id']>().toEqualTypeOf<string | undefined>();
  expectTypeOf<NonNullable<StateOf<'strategy'>['last_backtest']>['status']>().toEqualTypeOf<'running' | 'completed' | 'failed'>();
  expectTypeOf<State<Lumiere, 'job'>>().toEqualTypeOf<StateOf<'job'>>();
  expectTypeOf<State<Lumiere, 'nope'>>().toBeNever();
  // @ts-expect-error an entity that is not there
  expectTypeOf<StateOf<'trade'>>().toBeNever();
});

test('an item has the state of its entity, or null', () => {
  type Item = StateItemOf<Lumiere>;
  expectTypeOf<Item['entity']>().toEqualTypeOf<EntityName<Lumiere>>();
  expectTypeOf<Item['channel']>().toEqualTypeOf<Channel<Lumiere>>();
  expectTypeOf<StateItemOf<Lumiere, 'order'>['state']>().toEqualTypeOf<StateOf<'order'> | null>();
  expectTypeOf<Extract<Item, { readonly entity: 'backtest' }>['state']>().toEqualTypeOf<StateOf<'backtest'> | null>();
  expectTypeOf<Item['open']>().toEqualTypeOf<boolean>();
});

test('a contract may have none', () => {
  expectTypeOf<EntityName<typeof harbour>>().toBeNever();
  expectTypeOf<StateItemOf<typeof harbour>>().toBeNever();
});
