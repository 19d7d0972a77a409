/** What calls are served from: events, and states. */
import type { Pipeline } from '../delivery/pipeline.ts';
import type { LiveState } from './live-state.ts';

export interface Served extends Pipeline {
  readonly states: LiveState;
}
