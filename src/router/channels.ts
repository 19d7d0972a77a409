/** The subscriptions by channel family. Each has the types of the events that its family carries. */
import { z } from 'zod';
import type { ChannelFamily } from '../contract/channels.ts';
import { type EventOn, typesOn } from '../contract/events/index.ts';
import { id } from '../contract/fields.ts';
import { CourierError } from '../errors.ts';
import { subscribe } from '../subscribe.ts';
import { startInput, typeListOf } from './events.ts';
import { checked, router, subscription } from './trpc.ts';

/** The fields of every input: some types of the family, and where to start. */
function inputFor<F extends ChannelFamily>(family: F) {
  return { types: typeListOf(typesOn([family])).optional(), ...startInput };
}

export const globalRouter = router({
  onEvent: subscription
    .input(checked(z.strictObject({ ...inputFor('global') }).optional()))
    .subscription(({ ctx, input, signal }) =>
      subscribe<EventOn<'global'>>(ctx.pipeline, ctx.connection, { ...input, channels: ['global'] }, signal),
    ),
});

export const userRouter = router({
  /** Without `user_id`, the channel is the caller's own. */
  onEvent: subscription
    .input(checked(z.strictObject({ user_id: id.optional(), ...inputFor('user') }).optional()))
    .subscription(({ ctx, input, signal }) => {
      const { user_id = ctx.principal.sub, ...rest } = input ?? {};
      if (!id.safeParse(user_id).success) {
        throw new CourierError('BAD_REQUEST', `user_id: ${JSON.stringify(user_id)} cannot be part of a channel's name`);
      }
      return subscribe<EventOn<'user.*'>>(ctx.pipeline, ctx.connection, { ...rest, channels: [`user.${user_id}`] }, signal);
    }),
});

export const strategyRouter = router({
  onEvent: subscription
    .input(checked(z.strictObject({ strategy_id: id, ...inputFor('strategy') })))
    .subscription(({ ctx, input: { strategy_id, ...rest }, signal }) =>
      subscribe<EventOn<'strategy.*'>>(ctx.pipeline, ctx.connection, { ...rest, channels: [`strategy.${strategy_id}`] }, signal),
    ),
});

export const backtestRouter = router({
  onEvent: subscription
    .input(checked(z.strictObject({ backtest_id: id, ...inputFor('backtest') })))
    .subscription(({ ctx, input: { backtest_id, ...rest }, signal }) =>
      subscribe<EventOn<'backtest.*'>>(ctx.pipeline, ctx.connection, { ...rest, channels: [`backtest.${backtest_id}`] }, signal),
    ),
});

/** `forge.onJob`, which `index.ts` puts beside `forge.publish`. */
export const onJob = subscription
  .input(checked(z.strictObject({ job_id: id, ...inputFor('forge.job') })))
  .subscription(({ ctx, input: { job_id, ...rest }, signal }) =>
    subscribe<EventOn<'forge.job.*'>>(ctx.pipeline, ctx.connection, { ...rest, channels: [`forge.job.${job_id}`] }, signal),
  );
