/** `prophet.publish`, `cartographe.publish`, `chevalier.publish`, `forge.publish`: each takes that service's events only. */
import { draftUnion, type EventTypeOf, SERVICE_NAMES, type Service } from '../contract/events/index.ts';
import { CourierError } from '../errors.ts';
import { publish, type Receipt } from '../publish.ts';
import { checked, publishing } from './trpc.ts';

/** The mutation that publishes `service`'s events. For that service and admins. */
export function servicePublish<S extends Service>(service: S) {
  return publishing.input(checked(draftUnion([service]))).mutation(async ({ ctx, input }): Promise<Receipt & { type: EventTypeOf<S> }> => {
    const { principal, feed } = ctx;
    if (principal.role !== 'admin' && !(principal.role === 'service' && principal.sub === service)) {
      throw new CourierError('FORBIDDEN', `only the service ${service} and admins may use ${service}.publish`);
    }
    const [receipt] = await publish(feed, ctx, [input]);
    return receipt as Receipt & { type: EventTypeOf<S> };
  });
}

/** Any event of any service. */
export const anyDraft = draftUnion(SERVICE_NAMES);
