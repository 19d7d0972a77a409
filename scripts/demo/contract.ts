import { defineContract, defineEntity, defineService, id, z } from '@lumiere/courier/contract';

const stations = defineService({
  events: {
    'station.measured': {
      on: ['station'],
      description: 'A station has measured the temperature.',
      data: z.strictObject({ station_id: id, celsius: z.number() }),
      examples: [{ station_id: 'oslo', celsius: -3.5 }],
    },
  },
});

/** The present state of each station, which the gateway makes of its events. */
const weather = defineEntity({
  description: 'What a station has measured last.',
  of: [stations],
  types: ['station.measured'],
  key: ['station_id'],
  state: z.strictObject({ celsius: z.number(), measurements: z.int() }),
  open: () => true,
  reduce: (before, { data }) => ({ celsius: data.celsius, measurements: (before?.measurements ?? 0) + 1 }),
});

export default defineContract({
  name: 'weather',
  families: { station: { id: 'station_id', title: 'A station' } },
  services: { stations },
  entities: { weather },
});
