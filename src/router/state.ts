/** `state.*`: what is, and from then on what changes. */
import { z } from 'zod';
import type { Contract } from '../contract/contract.ts';
import { MAX_KEY_UNITS } from '../contract/entities.ts';
import { watchPosition } from '../contract/position.ts';
import type { StatePage } from '../contract/types.ts';
import { DEFAULT_STATE_LIMIT, MAX_STATE_LIMIT, readState } from '../read-state.ts';
import { noEntity, type StateSelection } from '../state-selection.ts';
import { watchState } from '../watch-state.ts';
import { statePageFor } from './event-page.ts';
import { channelList } from './events.ts';
import { checked, procedure, router, subscription } from './trpc.ts';

/** Entities in one request, and keys, at most. */
export const MAX_ENTITIES = 64;
export const MAX_KEYS = 100;
/** How often changes may be asked for in a second: from once in ten seconds on. */
export const [MIN_PER_SECOND, MAX_PER_SECOND] = [0.1, 100];

export const keyList = z.array(z.string().min(1).max(MAX_KEY_UNITS)).min(1).max(MAX_KEYS);

/** The name of an entity of a contract. */
export function entityName(contract: Contract) {
  return z.string().refine((name) => contract.entities.has(name), { error: ({ input }) => noEntity(contract, String(input)) });
}

/** What a request selects. */
export function selectionInput(contract: Contract) {
  return {
    channels: channelList,
    entities: z.array(entityName(contract)).min(1).max(MAX_ENTITIES),
    keys: keyList.optional().describe('Only things with these keys.'),
    open: z.boolean().optional().describe('Only what goes on, or only what does not.'),
    // What is in it is checked with the contract's schemas, as in addresses.
    where: z
      .custom<NonNullable<StateSelection['where']>>()
      .optional()
      .describe('By field, `state.symbol`: the value that it has, or one of several.'),
  };
}

export function stateRouter(contract: Contract) {
  const selection = selectionInput(contract);
  const getInput = z.strictObject({
    ...selection,
    limit: z.int().min(1).max(MAX_STATE_LIMIT).optional().describe(`Items in the page, at most; ${DEFAULT_STATE_LIMIT} when absent.`),
    after: z.string().max(100).optional().describe('`next` of the page before, or a position: then what has changed since.'),
  });
  const watchInput = z.strictObject({
    ...selection,
    max_per_second: z
      .number()
      .min(MIN_PER_SECOND)
      .max(MAX_PER_SECOND)
      .optional()
      .describe('How often a change of one thing is told, at most; as it comes when absent.'),
    lastEventId: watchPosition.optional(),
  });
  return router({
    get: procedure.input(checked(getInput)).query(async ({ ctx, input, signal }): Promise<StatePage<unknown>> => {
      const page = await readState(ctx.pipeline, ctx.connection, input, signal ?? new AbortController().signal);
      return statePageFor(ctx.answer, page);
    }),

    watch: subscription
      .input(checked(watchInput))
      .subscription(({ ctx, input, signal }) => watchState(ctx.pipeline, ctx.connection, input, signal)),
  });
}
