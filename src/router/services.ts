/** `prophet.publish`, `cartographe.publish`, `chevalier.publish`, `forge.publish`: each takes that service's events only. */
import { draftUnion, type EventTypeOf, SERVICE_NAMES, type Service } from '../contract/events/index.ts';
import { publish, type Receipt } from '../publish.ts';
import { checked, publishingFor } from './trpc.ts';

/** The mutation that publishes `service`'s events. For that service and admins. */
export function servicePublish<S extends Service>(service: S) {
  return publishingFor(service)
    .input(checked(draftUnion([service])))
    .mutation(async ({ ctx, input }): Promise<Receipt & { type: EventTypeOf<S> }> => {
      const [receipt] = await publish(ctx.pipeline, ctx, [input]);
      return receipt as Receipt & { type: EventTypeOf<S> };
    });
}

/** Any event of any service. */
export const anyDraft = draftUnion(SERVICE_NAMES);
