/**
 * Contracts: what a contract is, and everything that follows from one. It imports zod only, and runs in a browser. A contract of
 * your own imports this as `@lumiere/courier/contract`.
 */
export { z } from 'zod';
export * from './admin.ts';
export * from './channels.ts';
export * from './codes.ts';
export * from './contract.ts';
export * from './define.ts';
export * from './definition.ts';
export * from './draft.ts';
export * from './entities.ts';
export * from './envelope.ts';
export * from './fields.ts';
export * from './json.ts';
export * from './notices.ts';
export * from './position.ts';
export type * from './types.ts';
