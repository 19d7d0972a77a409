/**
 * Notices of Courier itself. A subscriber receives them among its events. The log never holds them, nobody can publish them, and
 * their `channel` is no channel.
 */
import { z } from 'zod';
import { GAP_REASONS, type Gap, type Live } from './envelope.ts';
import { position } from './position.ts';

export const NOTICES = {
  'courier.gap': z.strictObject({
    reason: z
      .enum(GAP_REASONS)
      .describe(
        'expired: older than retention. epoch: the position is of another log, or of a state of this one that was lost, from behind resumed_from on. ahead: it is past the end of this log. unreadable: what lies between the two positions was stored in a form that cannot be brought to the present one; one event, but in a page of history.',
      ),
    requested: position.describe('The position that was asked for; with unreadable, the one before what cannot be read.'),
    resumed_from: position.describe('Events after this position follow.'),
  }) satisfies z.ZodType<Gap>,
  'courier.live': z.strictObject({
    position: position.describe(
      'Everything up to here has been given; from here on events arrive as they happen. Told again where nothing else moves the position for long.',
    ),
    replayed: z.int().min(0).describe('How many events were given from the log; 0 when it is told again.'),
  }) satisfies z.ZodType<Live>,
};
