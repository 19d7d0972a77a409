"""The connection of a subscription: one WebSocket after another, for as long as the close codes allow.

The connection waits with growing delays between attempts, asks for another token when the gateway
refuses one, and ends with an error when the gateway refuses the client or is away for too long.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    ProxyError,
)

from . import _refusals as refusals
from ._fork import leave_to_parent
from .codes import CLOSE_CODES, Reconnect
from .errors import CourierError, UnauthorizedError, UnavailableError, UnexpectedAnswerError
from .retry import asked_delay, log_repetition

if TYPE_CHECKING:
    from ._gateway import Gateway
    from ._tokens import Tokens


def _without_token(record: logging.LogRecord) -> bool:
    return not (isinstance(record.args, tuple) and "Authorization" in record.args)


wire_logger = logging.getLogger("courier_client.websockets")
"""What `websockets` tells at DEBUG, frames and headers, except the header with the token."""
wire_logger.addFilter(_without_token)

# Messages that a WebSocket buffers, beyond the buffers of the kernel: it stops receiving above the
# first number, and continues below the second.
BUFFERED_MESSAGES = (256, 64)
MAX_MESSAGE_BYTES = 1024 * 1024
PING_INTERVAL_SECONDS = 20.0
PONG_TIMEOUT_SECONDS = 20.0
CLOSE_TIMEOUT_SECONDS = 1.0
MIN_OPEN_SECONDS = 1.0
"""An attempt has this long, however little of `give_up_after` is left: less is none on a busy machine."""


class SubscriptionState(str, Enum):
    """What a subscription is doing."""

    IDLE = "idle"
    """It has not started: nobody has entered it or asked for an event."""
    CONNECTING = "connecting"
    """It is reaching the gateway for the first time."""
    CATCHING_UP = "catching_up"
    """It receives events that were stored before."""
    LIVE = "live"
    """It has received every stored event, and receives new ones as they are published."""
    RECONNECTING = "reconnecting"
    """The connection was lost; `last_error` says why. The subscription is connecting again."""
    CLOSED = "closed"
    """It has ended, by `aclose` or with an error."""


class Connection:
    """Receives the messages of one subscription, from one WebSocket after another."""

    def __init__(
        self,
        gateway: Gateway[Any],
        give_up_after: float,
        url: Callable[[], str],
        on_state: Callable[[SubscriptionState], None],
    ) -> None:
        """Connects when the first message is asked for.

        Args:
            gateway: Where it is.
            give_up_after: Seconds that it may be away.
            url: Returns the address of the next WebSocket, which says where the subscription resumes.
            on_state: Called with each state up to CATCHING_UP.
        """
        self._gateway = gateway
        self._give_up_after = give_up_after
        self._url = url
        self._on_state = on_state
        self.last_error: CourierError | None = None
        self.tokens: Tokens
        """Those of the event loop that the next message is asked for in."""
        self._socket: ClientConnection | None = None
        self._token = ""
        self._accepted_at: float | None = None
        """When the first message came on this WebSocket, which shows that the gateway accepted the token."""
        self._was_accepted = False
        """Whether the gateway ever accepted this client."""
        self._away_since: float | None = None
        self._failures = 0
        self._next_attempt_at = 0.0
        """No attempt is made earlier, even when the caller is cancelled and asks again."""
        self._refusal: CourierError | None = None
        """The gateway's refusal of a token. None once it accepted another one."""
        self._refused_token = ""

    @property
    def accepted(self) -> bool:
        """Whether the gateway accepted the present WebSocket."""
        return self._accepted_at is not None

    async def receive(self) -> str | bytes:
        """Returns the next message. A call that is cancelled loses none.

        Raises the CourierError that ends the connection: it cannot be repaired, or not in time.
        """
        while True:
            socket = await self._connected()
            try:
                message = await socket.recv()
            except ConnectionClosed as closed:
                self._retry_after(self._lost(socket, closed))
            else:
                self._accept()
                return message

    async def close(self) -> None:
        """Closes the WebSocket. A cancellation does not interrupt it."""
        socket, self._socket = self._socket, None
        if socket is None:
            return
        try:
            with anyio.CancelScope(shield=True):
                # The gateway's close frame comes behind the messages that are on their way: read them.
                await asyncio.gather(socket.close(), _discard(socket))
        finally:
            socket.transport.abort()

    def leave(self) -> None:
        """Forgets the WebSocket, which belongs to another event loop, or to a parent process."""
        leave_to_parent(self._socket)
        self._socket = None
        self._accepted_at = None

    async def _connected(self) -> ClientConnection:
        while self._socket is None:
            self._away_since = self._away_since or time.monotonic()
            self._on_state(SubscriptionState.RECONNECTING if self._was_accepted else SubscriptionState.CONNECTING)
            await anyio.sleep(max(0.0, self._next_attempt_at - time.monotonic()))
            try:
                self._token = await self._next_token()
            except UnavailableError as error:
                self._retry_after(error)
                continue
            try:
                self._socket = await self._open(self._token)
            except CourierError as error:
                self._retry_after(error)
        return self._socket

    async def _next_token(self) -> str:
        """A token that was not refused. Raises UnauthorizedError when the client has none."""
        if self._refusal is None:
            return await self.tokens.get()
        token = await self.tokens.another_than(self._refused_token)
        if token is None:
            raise self._refusal
        return token

    async def _open(self, token: str) -> ClientConnection:
        gateway = self._gateway
        headers = {**gateway.headers, "Authorization": f"Bearer {token}"}
        user_agent = headers.pop("User-Agent")
        url = self._url()
        proxy_options: Any = {}
        if gateway.proxy is not None and gateway.proxy.startswith("https:"):
            proxy_options = {"proxy_ssl": gateway.ssl_context}
        try:
            return await connect(
                url,
                additional_headers=headers,
                user_agent_header=user_agent,
                compression=None,
                logger=wire_logger,
                proxy=gateway.proxy,
                open_timeout=self._open_timeout(),
                ping_interval=PING_INTERVAL_SECONDS,
                ping_timeout=PONG_TIMEOUT_SECONDS,
                close_timeout=CLOSE_TIMEOUT_SECONDS,
                max_size=MAX_MESSAGE_BYTES,
                max_queue=BUFFERED_MESSAGES,
                ssl=gateway.ssl_context if url.startswith("wss:") else None,
                **proxy_options,
            )
        except InvalidStatus as error:
            response = error.response
            body = bytes(response.body or b"")
            status = response.status_code
            refusal = refusals.answer_error(status, response.headers, body, gateway.contract_hash)
            gateway.strangers.refused(refusal, status, opens=True)
            raise refusal from error
        except (OSError, InvalidMessage, ProxyError) as error:
            raise gateway.unreachable(error) from error
        except InvalidHandshake as error:
            message = f"{gateway.address.base_url} does not speak WebSocket: {error}"
            raise UnexpectedAnswerError("UNEXPECTED_ANSWER", message) from error

    def _open_timeout(self) -> float | None:
        """Seconds that the next attempt may take: no longer than the gateway may still be away."""
        away = 0.0 if self._away_since is None else time.monotonic() - self._away_since
        limit = min(self._gateway.connect_timeout, max(MIN_OPEN_SECONDS, self._give_up_after - away))
        return None if limit == math.inf else limit

    def _accept(self) -> None:
        if self._accepted_at is not None:
            return
        self._accepted_at = time.monotonic()
        self._was_accepted = True
        self._gateway.strangers.accept()
        self._away_since = None
        self._refusal = None
        self._on_state(SubscriptionState.CATCHING_UP)

    def _lost(self, socket: ClientConnection, closed: ConnectionClosed) -> CourierError:
        """Forgets a WebSocket that was closed. Returns the error that its close code stands for."""
        # After a WebSocket that lasted, the delays begin anew: earlier failures say nothing about this one.
        lasted = 0.0 if self._accepted_at is None else time.monotonic() - self._accepted_at
        if lasted >= self._gateway.retry.maximum:
            self._failures = 0
        self._socket = None
        self._accepted_at = None
        self._gateway.strangers.begin_anew()
        frame = closed.rcvd
        code, reason = (1006, "") if frame is None else (frame.code, frame.reason)
        headers = {} if socket.response is None else socket.response.headers
        return refusals.close_error(code, reason, headers, self._gateway.contract_hash)

    def _retry_after(self, error: CourierError) -> None:
        """Sets the time of the next attempt. Raises `error` when none may follow, or none in time."""
        self.last_error = error
        reconnect = _reconnect_after(error)
        # When the gateway refuses two tokens in a row, it would refuse a third.
        is_final = reconnect == "with-new-token" and self._refusal is not None
        if reconnect == "no" or is_final:
            raise error
        if reconnect == "with-new-token":
            self._refusal, self._refused_token = error, self._token
        retry = self._gateway.retry
        delay = retry.delay_after(error, self._failures)
        if reconnect == "after-delay":
            delay += retry.busy
        self._failures += 1
        now = time.monotonic()
        self._away_since = self._away_since or now
        give_up_at = self._away_since + self._give_up_after
        if now >= give_up_at or now + asked_delay(error) > give_up_at:
            error.hint = f"{error.hint} It was tried for {now - self._away_since:.1f} s."
            raise error
        # The last attempt is made when the time is over.
        self._next_attempt_at = min(now + delay, give_up_at)
        log_repetition(self._failures, "connecting again in %.2f s: %s", self._next_attempt_at - now, error)


def _reconnect_after(error: CourierError) -> Reconnect:
    meaning = CLOSE_CODES.get(error.close_code or 0)
    if meaning is not None:
        return meaning.reconnect
    if isinstance(error, UnauthorizedError):
        return "with-new-token"
    return "yes" if error.retryable else "no"


async def _discard(socket: ClientConnection) -> None:
    """Reads messages until the WebSocket is closed."""
    try:
        while True:
            await socket.recv()
    except ConnectionClosed:
        return
