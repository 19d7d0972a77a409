/** The version of this package, as it tells the gateway. */
export const VERSION = '0.1.0';
