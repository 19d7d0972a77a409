/**
 * Passes failures on to an error tracker that takes Sentry's protocol. The SDK is an optional peer dependency; it is
 * given the error and ids to find its log line by, and takes nothing by itself: no requests, no breadcrumbs, no globals.
 */
import { ConfigError } from '../config.ts';
import { VERSION } from '../version.ts';
import type { ErrorHook } from './failures.ts';

/** How long what was not sent yet may take at the end, in ms. */
const FLUSH_MS = 2000;

export interface ErrorTracker extends AsyncDisposable {
  readonly onError: ErrorHook;
}

/** @throws {ConfigError} when the SDK is not installed. */
export async function connectSentry(dsn: string, environment: string): Promise<ErrorTracker> {
  const sdk = await import('@sentry/node').catch((cause: unknown) => {
    throw new ConfigError('COURIER_SENTRY_DSN needs the package @sentry/node: npm install @sentry/node', { cause });
  });
  const client = sdk.initWithoutDefaultIntegrations({
    dsn,
    release: `courier@${VERSION}`,
    environment,
    enableRuntimeChannelInjection: false,
    integrations: [sdk.linkedErrorsIntegration(), sdk.dedupeIntegration()],
  });
  return {
    onError: (error, kind, { request_id, correlation_id, ...context }) => {
      sdk.captureException(error, { tags: { kind, request_id, correlation_id }, contexts: { courier: context } });
    },
    [Symbol.asyncDispose]: async () => {
      await client?.close(FLUSH_MS);
    },
  };
}
