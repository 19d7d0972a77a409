/** The contract: everything that Courier and its clients agree on. It imports zod only, and runs in a browser. */
export * from './admin.ts';
export * from './channels.ts';
export * from './codes.ts';
export * from './draft.ts';
export * from './envelope.ts';
export * from './events/courier.ts';
export * from './events/index.ts';
export * from './json.ts';
export * from './position.ts';
