/** The platform's WebSocket, with what tRPC's client needs so that no attempt hangs. */

/** How long an attempt may take before it counts as failed, in ms. */
const ATTEMPT_TIMEOUT_MS = 10_000;

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
}
