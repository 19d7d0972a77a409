/** The subscriptions by channel family, whose payload types are just what that family carries. */
import { z } from 'zod';
import type { ChannelFamily } from '../contract/channels.ts';
import { type EventOn, typesOn } from '../contract/events/index.ts';
import { id } from '../contract/fields.ts';
import { CourierError } from '../errors.ts';
import { subscribe } from '../subscribe.ts';
import { startInput } from './events.ts';
import { checked, router, subscription } from './trpc.ts';

function typesFor<F extends ChannelFamily>(family: F) {
  const types = typesOn([family]);
  return {
    types: z.array(z.enum(types)).min(1).max(types.length).optional(),
  };
}

export const globalRouter = router({
  onEvent: subscription
    .input(checked(z.strictObject({ ...typesFor('global'), ...startInput }).optional()))
    .subscription(({ ctx, input, signal }) =>
      subscribe<EventOn<'global'>>(ctx.pipeline, ctx.connection, { ...input, channels: ['global'] }, signal),
    ),
});

export const userRouter = router({
  /** Without `user_id`: the caller's own channel. */
  onEvent: subscription
    .input(checked(z.strictObject({ user_id: id.optional(), ...typesFor('user'), ...startInput }).optional()))
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
    .input(checked(z.strictObject({ strategy_id: id, ...typesFor('strategy'), ...startInput })))
    .subscription(({ ctx, input: { strategy_id, ...rest }, signal }) =>
      subscribe<EventOn<'strategy.*'>>(ctx.pipeline, ctx.connection, { ...rest, channels: [`strategy.${strategy_id}`] }, signal),
    ),
});

export const backtestRouter = router({
  onEvent: subscription
    .input(checked(z.strictObject({ backtest_id: id, ...typesFor('backtest'), ...startInput })))
    .subscription(({ ctx, input: { backtest_id, ...rest }, signal }) =>
      subscribe<EventOn<'backtest.*'>>(ctx.pipeline, ctx.connection, { ...rest, channels: [`backtest.${backtest_id}`] }, signal),
    ),
});

/** `forge.onJob`, to stand beside `forge.publish`. */
export const onJob = subscription
  .input(checked(z.strictObject({ job_id: id, ...typesFor('forge.job'), ...startInput })))
  .subscription(({ ctx, input: { job_id, ...rest }, signal }) =>
    subscribe<EventOn<'forge.job.*'>>(ctx.pipeline, ctx.connection, { ...rest, channels: [`forge.job.${job_id}`] }, signal),
  );
