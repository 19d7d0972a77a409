/** Fields that the states of several entities share. */
import { z } from 'zod';

/** As publishers say it. */
export const instant = z.iso.datetime().describe('ISO 8601 date and time in UTC.');

/** Why a piece of work failed. */
export const failed = z.strictObject({
  code: z.string().describe('Machine-readable reason.'),
  message: z.string().describe('What went wrong, for a person.'),
  retryable: z.boolean().optional().describe('Whether the same work may succeed when tried again.'),
});
