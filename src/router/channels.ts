/** The subscriptions by channel family. Each has the types of the events that its family carries. */
import { z } from 'zod';
import type { Contract } from '../contract/contract.ts';
import { id, typeListOf } from '../contract/fields.ts';
import { CourierError } from '../errors.ts';
import { type SubscribeRequest, subscribe } from '../subscribe.ts';
import { startInput } from './events.ts';
import { checked, subscription } from './trpc.ts';

/** Subscribes to one channel of a family, by its id. */
export function familyEvents(contract: Contract, family: string) {
  const idField = contract.families.get(family)?.id;
  const fields = { types: typeListOf(contract.typesOn(family)).optional(), ...startInput };
  if (idField === undefined) return subscribing(z.strictObject(fields).optional(), (input) => ({ ...input, channels: [family] }));
  if (family === 'user') return subscribing(z.strictObject({ [idField]: id.optional(), ...fields }).optional(), ownOr(idField));
  return subscribing(z.strictObject({ [idField]: id, ...fields }), (input) => ofChannel(family, idField, input));
}

type Input = Readonly<Record<string, unknown>> | undefined;

function subscribing(input: z.ZodType<Input>, requestOf: (input: Input, sub: string) => SubscribeRequest) {
  return subscription
    .input(checked(input))
    .subscription(({ ctx, input: given, signal }) => subscribe(ctx.pipeline, ctx.connection, requestOf(given, ctx.principal.sub), signal));
}

function ofChannel(
  family: string,
  idField: string,
  { [idField]: channelId, ...rest }: Readonly<Record<string, unknown>> = {},
): SubscribeRequest {
  return { ...rest, channels: [`${family}.${channelId}`] };
}

/** Without an id, the channel is the caller's own. */
function ownOr(idField: string): (input: Input, sub: string) => SubscribeRequest {
  return (input, sub) => {
    const { [idField]: userId = sub, ...rest } = input ?? {};
    if (!id.safeParse(userId).success) {
      throw new CourierError('BAD_REQUEST', `${idField}: ${JSON.stringify(userId)} cannot be part of a channel's name`);
    }
    return { ...rest, channels: [`user.${userId}`] };
  };
}
