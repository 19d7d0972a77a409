/**
 * The platform's WebSocket, with a time limit for each attempt and each close, and a size limit for each message. Where the platform
 * tells why an attempt failed, it has that.
 */
import { type AttemptFailure, onAttemptFailed } from './upgrade-refusal.ts';

/** The time limit of an attempt, in ms. */
const ATTEMPT_TIMEOUT_MS = 10_000;
/** The time in which the peer must answer a close, in ms. After it the connection counts as lost. */
const CLOSE_TIMEOUT_MS = 1000;
/** UTF-8 bytes of a message with several calls, at most; the gateway accepts 1 MiB. */
const MAX_BATCH_BYTES = 512 * 1024;
/** Bytes of UTF-8 for one UTF-16 unit, at most. */
const MAX_BYTES_OF_UNIT = 3;

// The class below would end with a ReferenceError, which does not say what is missing.
if (typeof WebSocket === 'undefined') {
  const { process } = globalThis as { readonly process?: { readonly versions?: { readonly node?: string } } };
  const here = process?.versions?.node === undefined ? 'this is something else' : `this is Node.js ${process.versions.node}`;
  throw new Error(`the Courier client needs WebSocket, which browsers and Node.js 22 or later have, and ${here}`);
}

export class CourierWebSocket extends WebSocket {
  /** True from the `open` event to the `close` event. */
  #isOpen = false;
  #failure: AttemptFailure | undefined;

  constructor(url: string | URL) {
    super(url);
    const stopHearing = onAttemptFailed(url, (failure) => {
      // That an attempt is given up after a refusal says less.
      this.#failure ??= failure;
    });
    const timer = setTimeout(() => this.close(), ATTEMPT_TIMEOUT_MS);
    let hasOpened = false;
    this.addEventListener('open', () => {
      this.#isOpen = true;
      hasOpened = true;
      this.#failure = undefined;
      stopHearing();
      clearTimeout(timer);
    });
    this.addEventListener('close', () => {
      this.#isOpen = false;
      stopHearing();
      clearTimeout(timer);
    });
    // Node.js refuses some ports before a listener can be added, so the error is dispatched again; listeners may hear it twice.
    setTimeout(() => {
      if (!hasOpened && this.readyState === WebSocket.CLOSED) this.dispatchEvent(new Event('error'));
    });
  }

  /** Why the attempt failed, as far as that is known. */
  get failure(): AttemptFailure | undefined {
    return this.#failure;
  }

  /**
   * Open until the `close` event, also while the socket closes: otherwise tRPC's client would open one connection for a call in
   * between, and another one for the event. A message sent meanwhile is lost with the connection, as earlier ones may be.
   */
  override get readyState(): WebSocket['readyState'] {
    return this.#isOpen ? WebSocket.OPEN : super.readyState;
  }

  /** The stand-ins of test tools set `readyState` themselves. */
  override set readyState(value: WebSocket['readyState']) {
    Object.defineProperty(this, 'readyState', { value, writable: true, configurable: true, enumerable: true });
  }

  /** Splits a batch: tRPC's client sends all waiting calls as one message of any size. */
  override send(data: Parameters<WebSocket['send']>[0]): void {
    if (typeof data !== 'string' || !data.startsWith('[') || data.length * MAX_BYTES_OF_UNIT <= MAX_BATCH_BYTES) super.send(data);
    else for (const part of parts(data)) super.send(part);
  }

  /** Dispatches `close` when the peer does not answer in time. */
  override close(code?: number, reason?: string): void {
    super.close(code, reason);
    const timer = setTimeout(() => {
      this.dispatchEvent(Object.assign(new Event('close'), { code: 1006, reason: '', wasClean: false }));
    }, CLOSE_TIMEOUT_MS);
    this.addEventListener('close', () => clearTimeout(timer), { once: true });
    if (this.readyState === WebSocket.CLOSED) clearTimeout(timer);
  }
}

/** The calls of a batch as several messages, in their order. A call that is too long has a message of its own. */
function parts(batch: string): string[] {
  const encoder = new TextEncoder();
  const messages: string[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const call of JSON.parse(batch) as unknown[]) {
    const text = JSON.stringify(call);
    // The brackets around the first call, and the comma before each other call.
    const added = encoder.encode(text).length + 1;
    if (bytes + added <= MAX_BATCH_BYTES) {
      messages.at(-1)?.push(text);
      bytes += added;
    } else {
      messages.push([text]);
      bytes = added + 1;
    }
  }
  return messages.map((message) => `[${message.join(',')}]`);
}
