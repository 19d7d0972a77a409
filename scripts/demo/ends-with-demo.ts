/** Loaded before a program that the demo starts: ends it when the demo has ended without doing so, as after SIGKILL. */
// What a program does when it exits may wait: for whoever read its log, who has gone.
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
// The program may end by itself all the same.
process.channel?.unref();
