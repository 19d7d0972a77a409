/** Why a gateway cannot listen where it was to. */
import type { Config } from '../config.ts';

/** Why it cannot listen where it was to, in words that name the variable. */
export function listenProblem({ host, port }: Config, cause: unknown): unknown {
  const problem = (message: string) => new Error(message, { cause });
  switch (cause instanceof Error && 'code' in cause ? cause.code : undefined) {
    case 'EADDRINUSE':
      return problem(
        `COURIER_PORT ${port} of ${host} is in use: end what listens there, or set COURIER_PORT to another (0 is any free one)`,
      );
    case 'EACCES':
      return problem(`COURIER_PORT ${port} may not be listened on by this user: choose one of 1024 or more`);
    case 'EADDRNOTAVAIL':
    case 'EINVAL':
    case 'EAFNOSUPPORT':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return problem(
        `COURIER_HOST ${JSON.stringify(host)} is no address of this machine: it may be 127.0.0.1, 0.0.0.0 or :: (all of them)`,
      );
    default:
      return cause;
  }
}
