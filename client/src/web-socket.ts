/** The platform's WebSocket, with what tRPC's client needs so that no attempt hangs and no message is refused for its size. */

/** How long an attempt may take before it counts as failed, in ms. */
const ATTEMPT_TIMEOUT_MS = 10_000;
/** How long the other side may take to answer a close, in ms: then the connection counts as lost. */
const CLOSE_TIMEOUT_MS = 1000;
/** UTF-8 bytes of a message with several calls, at most; the gateway takes 1 MiB. */
const MAX_BATCH_BYTES = 512 * 1024;
/** A UTF-16 unit is at most so many bytes of UTF-8. */
const MAX_BYTES_OF_UNIT = 3;

export class CourierWebSocket extends WebSocket {
  /** From its `open` event to its `close` event. */
  #isOpen = false;

  constructor(url: string | URL) {
    super(url);
    const timer = setTimeout(() => this.close(), ATTEMPT_TIMEOUT_MS);
    let hasOpened = false;
    this.addEventListener('open', () => {
      this.#isOpen = true;
      hasOpened = true;
      clearTimeout(timer);
    });
    this.addEventListener('close', () => {
      this.#isOpen = false;
      clearTimeout(timer);
    });
    // Node.js refuses some ports before anybody can listen; a failure that was heard already may be heard again.
    setTimeout(() => {
      if (!hasOpened && this.readyState === WebSocket.CLOSED) this.dispatchEvent(new Event('error'));
    });
  }

  /**
   * Open until its `close` event, also while it closes: for a call that came in between, tRPC's client would open another
   * beside the one that it opens for the event. What is sent meanwhile is lost with the connection, as what came before may be.
   */
  override get readyState(): WebSocket['readyState'] {
    return this.#isOpen ? WebSocket.OPEN : super.readyState;
  }

  /** Stand-ins for the platform's WebSocket, as test tools have them, set it themselves: then it is what they set. */
  override set readyState(value: WebSocket['readyState']) {
    Object.defineProperty(this, 'readyState', { value, writable: true, configurable: true, enumerable: true });
  }

  /** tRPC's client sends everything that waits as one message, however much that is. */
  override send(data: Parameters<WebSocket['send']>[0]): void {
    if (typeof data !== 'string' || !data.startsWith('[') || data.length * MAX_BYTES_OF_UNIT <= MAX_BATCH_BYTES) super.send(data);
    else for (const part of parts(data)) super.send(part);
  }

  /** A peer that is gone never answers; who waits for the end hears of it all the same. */
  override close(code?: number, reason?: string): void {
    super.close(code, reason);
    const timer = setTimeout(() => {
      this.dispatchEvent(Object.assign(new Event('close'), { code: 1006, reason: '', wasClean: false }));
    }, CLOSE_TIMEOUT_MS);
    this.addEventListener('close', () => clearTimeout(timer), { once: true });
    if (this.readyState === WebSocket.CLOSED) clearTimeout(timer);
  }
}

/** The calls of a batch as several messages, in their order. One that is too long by itself is sent by itself. */
function parts(batch: string): string[] {
  const encoder = new TextEncoder();
  const messages: string[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const call of JSON.parse(batch) as unknown[]) {
    const text = JSON.stringify(call);
    // With the brackets around the first, and the comma before another.
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
