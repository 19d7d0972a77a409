/** Loaded before a program that the demo starts: ends it when the demo has ended without doing so, as after SIGKILL. */
process.once('disconnect', () => process.exit(1));
// The program may end by itself all the same.
process.channel?.unref();
