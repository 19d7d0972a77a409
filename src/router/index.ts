/** The router of a contract: a procedure for each service and family, and those that every gateway has. */
import type { AnyTRPCProcedure, AnyTRPCRouter } from '@trpc/server';
import type { Contract } from '../contract/contract.ts';
import { procedureOf } from '../contract/names.ts';
import type { TypedContract } from '../contract/types.ts';
import type { contract as lumiere } from '../contracts/lumiere/contract.ts';
import { adminRouter } from './admin.ts';
import { authRouter } from './auth.ts';
import { familyEvents } from './channels.ts';
import { eventsRouter, servicePublish } from './events.ts';
import type { RouterOf } from './routes.ts';
import { runAtOnce } from './running.ts';
import { stateRouter } from './state.ts';
import { router } from './trpc.ts';

export type { RouterOf } from './routes.ts';
/** The router of Lumiere's contract. */
export type AppRouter = RouterOf<typeof lumiere>;

/** Makes the router of a contract. */
export function createRouter<C extends TypedContract>(contract: C & Contract): RouterOf<C> {
  const routes: Record<string, Record<string, AnyTRPCProcedure>> = {};
  const add = (path: string, procedure: AnyTRPCProcedure) => {
    const [route, name] = path.split('.') as [string, string];
    routes[route] = { ...routes[route], [name]: procedure };
  };
  for (const service of contract.services.keys()) add(`${service}.publish`, servicePublish(contract, service));
  for (const family of contract.channels.families) add(procedureOf(family), familyEvents(contract, family));
  const own = Object.entries(routes).map(([route, procedures]) => [route, router(procedures)] as const);
  const made = router({
    ...Object.fromEntries(own),
    events: eventsRouter(contract),
    state: stateRouter(contract),
    auth: authRouter(contract),
    admin: adminRouter(contract),
  });
  runAtOnce(made);
  // The procedures were made in loops, which the compiler cannot follow.
  return made as unknown as RouterOf<C>;
}

/** The procedure at a path. */
export function procedureAt(of: AnyTRPCRouter, path: string): AnyTRPCProcedure | undefined {
  // All procedures by their full paths, which the router's type does not have.
  const procedures = of._def.procedures as unknown as Readonly<Record<string, AnyTRPCProcedure>>;
  return Object.hasOwn(procedures, path) ? procedures[path] : undefined;
}

/** Is there a subscription at this path? */
export function isSubscription(of: AnyTRPCRouter, path: string): boolean {
  return procedureAt(of, path)?._def.type === 'subscription';
}
