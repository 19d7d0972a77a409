/**
 * What the log tells of a refusal: its code, where the input was wrong, and who was refused. Never why in words, nor the input
 * itself, which are the caller's.
 */
import { DRAINING } from '../connections/wire.ts';
import type { ErrorCode } from '../contract/codes.ts';
import type { CourierError } from '../errors.ts';
import { legible, legibly } from './legible.ts';
import type { LogContext, Logger, LogPart } from './logger.ts';
import type { Surface } from './meter.ts';

/** Who was refused. */
export interface Refused {
  readonly address: string;
  /** Undefined until it is known. */
  readonly sub?: string | undefined;
  /** The page that a browser asked for it. */
  readonly origin?: string | undefined;
  /** Another line tells of it: the connection's end, which interrupted the call. */
  readonly isToldByItsEnd?: boolean;
}

/** Fields that are told, at most, and UTF-16 units of each: their names may be the caller's. */
const MAX_PATHS = 5;
const MAX_PATH_UNITS = 64;

const PARTS: Partial<Record<ErrorCode, LogPart>> = { UNAUTHORIZED: 'auth', FORBIDDEN: 'auth', TOO_MANY_REQUESTS: 'limits' };

export function logRefusal(
  logger: Logger,
  surface: Surface,
  error: CourierError,
  context: LogContext,
  { address, sub, origin, isToldByItsEnd = false }: Refused,
): void {
  // That the gateway drains is in the log.
  if (isToldByItsEnd || error === DRAINING.error) return;
  const { code, issues = [], status } = error;
  const paths = issues.flatMap(({ path }) => (path === '' ? [] : legible(path, MAX_PATH_UNITS)));
  logger.named(PARTS[code] ?? surface).warn(`refused: ${code}`, {
    ...legibly(context),
    code,
    ...(status !== undefined && { status }),
    ...(paths.length > 0 && { paths: paths.slice(0, MAX_PATHS) }),
    ...(sub !== undefined && { user_id: sub }),
    address,
    ...(origin !== undefined && { origin: legible(origin) }),
  });
}
