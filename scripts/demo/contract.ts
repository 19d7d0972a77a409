import { defineContract, defineService, id, z } from '@lumiere/courier/contract';

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

export default defineContract({
  name: 'weather',
  families: { station: { id: 'station_id', title: 'A station' } },
  services: { stations },
});
