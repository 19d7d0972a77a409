/** The platform's WebSocket, with what tRPC's client needs so that no attempt hangs and no message is refused for its size. */

/** How long an attempt may take before it counts as failed, in ms. */
const ATTEMPT_TIMEOUT_MS = 10_000;
/** How long the other side may take to answer a close, in ms: then the connection counts as lost. */
const CLOSE_TIMEOUT_MS = 1000;
/** Calls in one message, and UTF-16 units of one with several calls, at most; the gateway takes 100 and 256 KiB. */
const MAX_CALLS = 100;
const MAX_LENGTH = 64 * 1024;

export class CourierWebSocket extends WebSocket {
  constructor(url: string | URL) {
    super(url);
    const timer = setTimeout(() => this.close(), ATTEMPT_TIMEOUT_MS);
    let isOpen = false;
    this.addEventListener('open', () => {
      isOpen = true;
      clearTimeout(timer);
    });
    this.addEventListener('close', () => clearTimeout(timer));
    // Node.js refuses some ports before anybody can listen; a failure that was heard already may be heard again.
    setTimeout(() => {
      if (!isOpen && this.readyState === WebSocket.CLOSED) this.dispatchEvent(new Event('error'));
    });
  }

  /** tRPC's client sends everything that waits as one message, however much that is. */
  override send(data: Parameters<WebSocket['send']>[0]): void {
    if (typeof data === 'string' && data.startsWith('[')) for (const part of parts(data)) super.send(part);
    else super.send(data);
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

function parts(batch: string): string[] {
  const calls = (JSON.parse(batch) as unknown[]).map((call) => JSON.stringify(call));
  const messages: string[][] = [];
  let length = Number.POSITIVE_INFINITY;
  for (const call of calls) {
    const last = messages.at(-1);
    if (last === undefined || last.length === MAX_CALLS || length + call.length > MAX_LENGTH) {
      messages.push([call]);
      length = call.length;
    } else {
      last.push(call);
      length += call.length;
    }
  }
  return messages.map((message) => `[${message.join(',')}]`);
}
