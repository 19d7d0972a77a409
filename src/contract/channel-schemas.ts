/** Schemas for the names of channels. */
import { z } from 'zod';
import { CHANNEL_FAMILIES, type Channel, type ChannelFamily, type ChannelIn, familyForm, SEGMENT } from './channels.ts';

/** An id as it stands in a channel's name: 1 to 64 of `A-Z a-z 0-9 _ -`. */
export const channelId = z
  .string()
  .regex(SEGMENT, { error: 'must be 1 to 64 characters of A-Z, a-z, 0-9, _ and -' })
  .describe('Id, usable as the last segment of a channel name.');

function channelSchemaOf(family: ChannelFamily): z.ZodType<Channel, Channel> {
  return family === 'global' ? z.literal('global') : z.templateLiteral([`${family}.`, channelId]);
}

/** A schema for the name of a channel in one of `families`, typed to just those names. */
export function channelIn<F extends ChannelFamily>(families: readonly F[]): z.ZodType<ChannelIn<F>, ChannelIn<F>> {
  const forms = families.map(familyForm).join(', ');
  const schema = z.union(families.map(channelSchemaOf), { error: `must be one of ${forms}; ids are 1 to 64 of A-Z a-z 0-9 _ -` });
  // The union was built from `families`, which the compiler cannot follow through `map`.
  return schema as unknown as z.ZodType<ChannelIn<F>, ChannelIn<F>>;
}

/** A schema for the name of any channel. */
export const anyChannel = channelIn(CHANNEL_FAMILIES).describe('Channel name, such as `backtest.b1`.');
