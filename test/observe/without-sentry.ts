/** Loaded into a gateway before its own code: the package @sentry/node is not installed. */
import { registerHooks } from 'node:module';

registerHooks({
  resolve: (specifier, context, next) => {
    if (specifier === '@sentry/node') throw Object.assign(new Error('not found'), { code: 'ERR_MODULE_NOT_FOUND' });
    return next(specifier, context);
  },
});
