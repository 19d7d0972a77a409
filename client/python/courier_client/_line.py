"""The WebSocket under a subscription: made anew when it is lost, as long as the close codes say that it may be."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
)

from . import _incoming as incoming
from .codes import CLOSE_CODES, Reconnect
from .errors import CourierError, UnauthorizedError, UnavailableError, UnexpectedAnswerError

if TYPE_CHECKING:
    from ._address import Address
    from ._tokens import Tokens
    from .retry import Backoff

logger = logging.getLogger("courier_client")

# Messages that may wait in a connection, beyond what the kernel holds: reading stops above the
# first number, and goes on below the second.
BUFFERED_MESSAGES = (256, 64)
MAX_MESSAGE_BYTES = 1024 * 1024
# Seconds: between pings, for the answer to one, and for the closing handshake.
PING_INTERVAL = 20.0
PONG_WAIT = 20.0
CLOSE_WAIT = 1.0


class SubscriptionState(str, Enum):
    """Where a subscription is."""

    IDLE = "idle"
    """It has not begun."""
    CONNECTING = "connecting"
    CATCHING_UP = "catching_up"
    """It gets what is in the log."""
    LIVE = "live"
    """It was given everything up to the present, and gets events as they happen."""
    RECONNECTING = "reconnecting"
    """The connection was lost; `last_error` says why."""
    CLOSED = "closed"


@dataclass(frozen=True)
class Gateway:
    """What the subscriptions of one client have in common."""

    address: Address
    tokens: Tokens
    headers: dict[str, str]
    retry: Backoff
    connect_timeout: float
    reach_within: float
    """Seconds that reaching the gateway for the first time may take."""
    give_up_after: float | None
    """Seconds that it may be away later."""
    ssl_context: ssl.SSLContext | None


class Line:
    """Messages, from one connection after another."""

    def __init__(
        self,
        gateway: Gateway,
        url: Callable[[], str],
        on_state: Callable[[SubscriptionState], None],
    ) -> None:
        """Connects when the first message is asked for.

        Args:
            gateway: Where to.
            url: The address of the next connection, which says where it resumes.
            on_state: Told where it is, up to CATCHING_UP.
        """
        self._gateway = gateway
        self._url = url
        self._on_state = on_state
        self.last_error: CourierError | None = None
        self._socket: ClientConnection | None = None
        self._token = ""
        self._accepted_at: float | None = None
        """When the first message came on this connection: the gateway has let the client in then."""
        self._reached = False
        """Has the gateway ever let it in?"""
        self._away_since: float | None = None
        self._failures = 0
        self._not_before = 0.0
        """When the next attempt may be made, whoever asks for a message until then."""
        self._refusal: CourierError | None = None
        """Since a token was accepted."""
        self._refused = ""
        """The token that it was about."""

    @property
    def accepted(self) -> bool:
        return self._accepted_at is not None

    @property
    def _absent(self) -> SubscriptionState:
        return SubscriptionState.RECONNECTING if self._reached else SubscriptionState.CONNECTING

    async def receive(self) -> str | bytes:
        """The next message. Cancelled, it loses none.

        Raises the CourierError for which there is no coming back, or not in time.
        """
        while True:
            socket = await self._connected()
            try:
                message = await socket.recv()
            except ConnectionClosed as closed:
                self._retreat(self._lost(socket, closed))
            else:
                self._accept()
                return message

    async def hang_up(self) -> None:
        """Closes the connection, whatever else is cancelled meanwhile."""
        socket, self._socket = self._socket, None
        if socket is None:
            return
        try:
            with anyio.CancelScope(shield=True):
                # What is still on its way must be read: the gateway's side of the handshake is behind it.
                await asyncio.gather(socket.close(), _discard(socket))
        finally:
            socket.transport.abort()

    async def _connected(self) -> ClientConnection:
        while self._socket is None:
            self._away_since = self._away_since or time.monotonic()
            self._on_state(self._absent)
            await anyio.sleep(max(0.0, self._not_before - time.monotonic()))
            try:
                self._token = await self._next_token()
            except UnavailableError as error:
                self._retreat(error)
                continue
            try:
                self._socket = await self._dial(self._token)
            except CourierError as error:
                self._retreat(error)
        return self._socket

    async def _next_token(self) -> str:
        """A token that may be tried. Raises UnauthorizedError when there is none, or no other than was refused."""
        if self._refusal is None:
            return await self._gateway.tokens.get()
        token = await self._gateway.tokens.another_than(self._refused)
        if token is None:
            raise self._refusal
        return token

    async def _dial(self, token: str) -> ClientConnection:
        gateway = self._gateway
        headers = {**gateway.headers, "Authorization": f"Bearer {token}"}
        user_agent = headers.pop("User-Agent")
        url = self._url()
        try:
            return await connect(
                url,
                additional_headers=headers,
                user_agent_header=user_agent,
                compression=None,
                open_timeout=gateway.connect_timeout,
                ping_interval=PING_INTERVAL,
                ping_timeout=PONG_WAIT,
                close_timeout=CLOSE_WAIT,
                max_size=MAX_MESSAGE_BYTES,
                max_queue=BUFFERED_MESSAGES,
                ssl=(gateway.ssl_context or True) if url.startswith("wss:") else None,
            )
        except InvalidStatus as error:
            response = error.response
            raise incoming.refusal(response.status_code, response.headers, bytes(response.body or b"")) from error
        except (OSError, InvalidMessage) as error:
            raise incoming.unreachable(gateway.address.base_url, error) from error
        except InvalidHandshake as error:
            message = f"{gateway.address.base_url} does not speak WebSocket: {error}"
            raise UnexpectedAnswerError("UNEXPECTED_ANSWER", message) from error

    def _accept(self) -> None:
        if self._accepted_at is not None:
            return
        self._accepted_at = time.monotonic()
        self._reached = True
        self._away_since = None
        self._refusal = None
        self._on_state(SubscriptionState.CATCHING_UP)

    def _lost(self, socket: ClientConnection, closed: ConnectionClosed) -> CourierError:
        """What it means that the connection was closed."""
        # One that held for long was good: what comes now has nothing to do with what was before.
        lived = 0.0 if self._accepted_at is None else time.monotonic() - self._accepted_at
        if lived >= self._gateway.retry.maximum:
            self._failures = 0
        self._socket = None
        self._accepted_at = None
        frame = closed.rcvd
        code, reason = (1006, "") if frame is None else (frame.code, frame.reason)
        headers = {} if socket.response is None else socket.response.headers
        return incoming.close_error(code, reason, headers)

    def _retreat(self, error: CourierError) -> None:
        """Puts off the next attempt. Raises `error` when there is to be none, or none in time."""
        self.last_error = error
        reconnect = _reconnect_after(error)
        # A new token that is refused right after another was will not be the last.
        is_final = reconnect == "with-new-token" and self._refusal is not None
        if reconnect == "no" or is_final:
            raise error
        if reconnect == "with-new-token":
            self._refusal, self._refused = error, self._token
        gateway = self._gateway
        delay = (error.retry_after or 0.0) + gateway.retry.jitter(self._failures)
        if reconnect == "after-delay":
            delay += gateway.retry.busy
        self._failures += 1
        self._not_before = time.monotonic() + delay
        self._give_up_in_time(error)
        logger.info("%s; connecting again in %.2f s", error, delay)

    def _give_up_in_time(self, error: CourierError) -> None:
        limit = self._gateway.give_up_after if self._reached else self._gateway.reach_within
        self._away_since = self._away_since or time.monotonic()
        if limit is not None and self._not_before - self._away_since > limit:
            error.hint = f"{error.hint} It was tried for {time.monotonic() - self._away_since:.1f} s."
            raise error


def _reconnect_after(error: CourierError) -> Reconnect:
    meaning = CLOSE_CODES.get(error.close_code or 0)
    if meaning is not None:
        return meaning.reconnect
    if isinstance(error, UnauthorizedError):
        return "with-new-token"
    return "yes" if error.retryable else "no"


async def _discard(socket: ClientConnection) -> None:
    try:
        while True:
            await socket.recv()
    except ConnectionClosed:
        return
