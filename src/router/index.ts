/** The router. Its type alone tells a client what it may send and what it will receive. */
import { adminRouter } from './admin.ts';
import { authRouter } from './auth.ts';
import { backtestRouter, globalRouter, onJob, strategyRouter, userRouter } from './channels.ts';
import { eventsRouter } from './events.ts';
import { servicePublish } from './services.ts';
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
