/** The router. Its type tells clients the input and the output of every procedure. */
import type { AnyTRPCProcedure } from '@trpc/server';
import { adminRouter } from './admin.ts';
import { authRouter } from './auth.ts';
import { backtestRouter, globalRouter, onJob, strategyRouter, userRouter } from './channels.ts';
import { eventsRouter, servicePublish } from './events.ts';
import { router } from './trpc.ts';

export const appRouter = router({
  prophet: router({ publish: servicePublish('prophet') }),
  cartographe: router({ publish: servicePublish('cartographe') }),
  chevalier: router({ publish: servicePublish('chevalier') }),
  forge: router({ publish: servicePublish('forge'), onJob }),
  events: eventsRouter,
  global: globalRouter,
  user: userRouter,
  strategy: strategyRouter,
  backtest: backtestRouter,
  auth: authRouter,
  admin: adminRouter,
});

export type AppRouter = typeof appRouter;

/** All procedures by their full paths, which the router's type does not have. */
const PROCEDURES = appRouter._def.procedures as unknown as Readonly<Record<string, AnyTRPCProcedure>>;

/** Is there a procedure at this path? */
export function isProcedure(path: string): boolean {
  return Object.hasOwn(PROCEDURES, path);
}

/** Is there a subscription at this path? */
export function isSubscription(path: string): boolean {
  return isProcedure(path) && PROCEDURES[path]?._def.type === 'subscription';
}
