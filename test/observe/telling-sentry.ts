/** Loaded into a gateway before its own code: its error tracker is one that says on standard error when it is closed. */
import { registerHooks } from 'node:module';

const TRACKER = `
  export const initWithoutDefaultIntegrations = () => ({ close: async () => process.stderr.write('tracker: closed\\n') });
  export const linkedErrorsIntegration = () => undefined;
  export const dedupeIntegration = () => undefined;
  export const captureException = () => undefined;
`;

registerHooks({
  resolve: (specifier, context, next) => {
    if (specifier !== '@sentry/node') return next(specifier, context);
    return { url: `data:text/javascript,${encodeURIComponent(TRACKER)}`, shortCircuit: true };
  },
});
