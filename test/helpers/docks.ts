/** A small contract that has nothing in common with Lumiere's: of a dock, whose services are more than those of a trading platform. */
import { z } from 'zod';
import { defineContract, defineService } from '../../src/contract/define.ts';
import { earlierVersion } from '../../src/contract/definition.ts';
import { contractDocument } from '../../src/contract/document.ts';
import { id } from '../../src/contract/fields.ts';
import { contractHash } from '../../src/version.ts';

const cranes = defineService({
  events: {
    'crane.lifted': {
      on: ['berth.crane'],
      description: 'A crane has lifted a container.',
      data: z.strictObject({ crane_id: id, container: z.string(), tonnes: z.number().min(0) }),
      examples: [
        { crane_id: 'c1', container: 'MSKU-1', tonnes: 21.5 },
        { crane_id: 'c2', container: 'HLXU-7', tonnes: 3 },
      ],
    },
  },
});

const customs = defineService({
  events: {
    'container.released': {
      on: ['ship'],
      description: 'A container may leave the harbour.',
      data: z.strictObject({ container: z.string(), ship_id: id.optional() }),
      subject: 'container',
      examples: [{ container: 'MSKU-1' }],
    },
  },
});

const pilots = defineService({
  events: {
    'ship.moored': {
      on: ['ship', 'berth.crane'],
      description: 'A ship has made fast.',
      data: z.strictObject({ ship_id: id, berth: z.string(), draught_m: z.number() }),
      examples: [{ ship_id: 'aurora', berth: 'north', draught_m: 7.5 }],
      version: 2,
      upcast: {
        1: earlierVersion(z.strictObject({ ship_id: id, berth: z.string() }), (old) => {
          if (old.berth === 'lost') throw new RangeError('nobody knows its draught');
          return { ...old, draught_m: 0 };
        }),
      },
    },
    'ship.sailed': {
      on: ['ship'],
      description: 'A ship has left.',
      data: z.strictObject({ ship_id: id }),
      examples: [{ ship_id: 'aurora' }],
    },
  },
});

const tides = defineService({
  events: {
    'tide.turned': {
      on: ['global'],
      description: 'The tide has turned.',
      data: z.strictObject({ to: z.enum(['ebb', 'flood']) }),
      examples: [{ to: 'ebb' }],
    },
  },
});

const tugs = defineService({
  events: {
    'tug.sent': {
      on: ['ship'],
      description: 'A tug is on its way.',
      data: z.strictObject({ tug: z.string(), ship_id: id.optional() }),
      examples: [{ tug: 'Bulldog' }, { tug: 'Terrier', ship_id: 'aurora' }],
    },
  },
});

export const contract = defineContract({
  name: 'docks',
  families: { ship: { id: 'ship_id', title: 'A ship' }, 'berth.crane': { id: 'crane_id', title: 'A crane at a berth' } },
  services: { cranes, customs, pilots, tides, tugs },
});
export default contract;
export const CONTRACT_HASH = contractHash(contract);
export const DOCUMENT = contractDocument(contract);
