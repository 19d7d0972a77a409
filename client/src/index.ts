/** The typed client of Courier. */

/** The class of what fails through `client.trpc`. */
export { TRPCClientError } from '@trpc/client';
export { BackgroundPublisher, type BackgroundPublisherCounts, type BackgroundPublisherOptions } from './background-publisher.ts';
export { type Cause, withCause, withoutCause } from './cause.ts';
export { CourierClient } from './client.ts';
export type { ConnectionState, ContractMatch, Identity } from './connection-state.ts';
export type { OnGap } from './consumer.ts';
export * from './contract.ts';
export { type Cursor, localStorageCursor } from './cursor.ts';
export { CourierError, type CourierErrorCode, type Issue } from './errors.ts';
export type {
  AnyContract,
  ChannelOf,
  CourierEvent,
  DraftMetadata,
  EntityIn,
  EntityState,
  EventData,
  EventDraft,
  EventInput,
  EventMetadata,
  EventOn,
  Gap,
  GapNotice,
  HistoryPage,
  LiveNotice,
  Receipt,
} from './events.ts';
export type { Observable } from './observable.ts';
export type {
  CallOptions,
  ClientOptionsOf,
  CourierClientOptions,
  HandlerOptions,
  HistoryOptions,
  IterationOptions,
  PublishOptions,
  Subscribe,
  SubscribeOptions,
} from './options.ts';
export type { RetryOptions } from './retry.ts';
export type { AppRouter, RouterOf, WhoAmI } from './router.ts';
export type { StateMap } from './state-map.ts';
export type { ReadStateOptions, StateConditions, StateEntry, StateOptions, StateWhere } from './state-selection.ts';
export type { EventIterator, Subscription } from './subscription.ts';
export type { TokenSource } from './token.ts';
export type { Trace, TraceOf, TraceStep } from './trace.ts';
