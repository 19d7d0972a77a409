/** Loaded into a gateway before its own code: throws, or rejects, where nobody catches it, when it is told to. */
import { BroadcastChannel, isMainThread } from 'node:worker_threads';

const failure = process.env['COURIER_TEST_FAILURE'];
const channel = new BroadcastChannel('fail');
channel.unref();

if (isMainThread) {
  process.on('SIGUSR2', () => {
    if (failure === 'worker') channel.postMessage('now');
    else if (failure === 'rejection') void Promise.reject(new Error('boom'));
    else throw new Error('boom');
  });
} else {
  channel.onmessage = () => {
    throw new Error('boom');
  };
}
