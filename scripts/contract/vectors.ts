/** Writes the conformance vectors that follow from a contract: clients read an event of every type. */
import type { Contract } from '../../src/contract/contract.ts';

/** A subscription that is sent the example of each type. */
export function typesVectors(contract: Contract): object {
  const events = [...contract.types.values()].map(({ type, service }, index) => ({
    id: `e1-${index + 1}`,
    ...contract.sampleOf(type),
    metadata: { timestamp: '2026-01-02T03:04:05.678Z', source: service },
  }));
  return {
    $schema: 'vector.schema.json',
    about: "An event of every type, with the contract's first example of it. Written by `npm run contract:renew`.",
    vectors: [
      {
        name: 'every-type',
        why: 'Each type of the contract arrives as it was sent.',
        subscribe: { channels: ['**'], from: 'earliest' },
        connections: [{ send: events.map((event) => ({ event })), end: 'stay' }],
        result: { events: events.map(({ id }) => id), ends: null },
      },
    ],
  };
}
