/**
 * React hooks for channels, which show every event, or say that some are missing, and for the state of things. They import React and this
 * package only.
 */
'use client';

export { CourierProvider, type CourierProviderProps, useCourierClient, useCourierConnection } from './react/context.ts';
export * from './react/families.ts';
export type { ChannelState, ChannelStatus } from './react/state.ts';
export {
  type ChannelOptions,
  type CourierHooks,
  courierHooks,
  useChannel,
  useEntities,
  useEntity,
  useLatest,
} from './react/use-channel.ts';
export type { EntitiesOptions, EntitiesView, EntityView } from './react/use-entities.ts';
export {
  type EntitiesHook,
  type EntityHook,
  entitiesHook,
  entityHook,
  type FamilyHook,
  familyHook,
  type UserHook,
  userHook,
} from './react/use-family.ts';
