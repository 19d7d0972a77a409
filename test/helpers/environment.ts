/**
 * What programs that tests start have of the tests' own environment: how programs are found, and where Node.js keeps what it has
 * compiled, so that the next of them starts in half the time.
 */
export const ENVIRONMENT = {
  PATH: process.env['PATH'],
  NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
};
