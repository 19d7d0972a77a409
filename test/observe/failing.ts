/** Loaded into a gateway before its own code: throws, or rejects, where nobody catches it, when it is told to. */
process.on('SIGUSR2', () => {
  setImmediate(() => {
    if (process.env['COURIER_TEST_FAILURE'] === 'rejection') void Promise.reject(new Error('boom'));
    else throw new Error('boom');
  });
});
