/** The channel families of the port. */
export const families = {
  vessel: { id: 'imo', title: 'A vessel' },
  berth: { id: 'berth_no', title: 'A berth' },
  'yard.block': { id: 'block', title: 'A block of the container yard' },
} as const;
