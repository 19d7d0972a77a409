/** The router of a gateway, as a type that imports no code of it. */
import type { RouterOf, WhoAmI } from '../../src/router/routes.ts';
import type { Contract } from './contract.ts';

export type { RouterOf, WhoAmI };

/** The router of the package's own contract. */
export type AppRouter = RouterOf<Contract>;
