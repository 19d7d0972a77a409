"""What every subscription is: an iterator over what one connection after another brings, which is closed in order.

Nothing is received ahead of the consumer, so a slow consumer makes the connection wait, and in the end the gateway. A
message that was received is pending until it is handled: a cancellation in between loses none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio

from ._connection import Connection, SubscriptionState
from .errors import ClosedError, CourierError, InvalidInputError, invalid_argument

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._gateway import Gateway
    from ._loop import LoopConnections

logger = logging.getLogger("courier_client")

OnState = Callable[[SubscriptionState], object]
"""A function that is called with each new state."""

MessageT = TypeVar("MessageT")
GivenT = TypeVar("GivenT")


class Stream(Generic[MessageT, GivenT]):
    """An async iterator, and an async context manager that closes it. For one consumer at a time."""

    def __init__(
        self,
        gateway: Gateway[Any],
        connections: Callable[[], LoopConnections],
        url: Callable[[], str],
        *,
        on_state: OnState | None,
        give_up_after: float,
    ) -> None:
        """Connects when something is asked for.

        Args:
            gateway: Where it is.
            connections: Returns those of the running event loop.
            url: Returns the address of the next WebSocket.
            on_state: Called with every new state.
            give_up_after: Seconds that the gateway may be away.
        """
        self._connections = connections
        self._here: LoopConnections | None = None
        self._on_state = on_state
        self._pending: MessageT | None = None
        self._state = SubscriptionState.IDLE
        self._entered = False
        self._consumer: asyncio.Task[object] | None = None
        self._scope: anyio.CancelScope | None = None
        self._consumer_left = asyncio.Event()
        self._connection = Connection(gateway, give_up_after, url, self._set_state)

    @property
    def state(self) -> SubscriptionState:
        """What the subscription is doing now."""
        return self._state

    @property
    def last_error(self) -> CourierError | None:
        """Why the connection was last lost or could not be opened; None when that never happened."""
        return self._connection.last_error

    async def __aenter__(self) -> Self:
        self._entered = True
        try:
            await self._establish()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    async def __aiter__(self) -> AsyncGenerator[GivenT, None]:
        try:
            while True:
                try:
                    given = await self.__anext__()
                except StopAsyncIteration:
                    return
                yield given
        finally:
            # Leaving the loop closes the subscription, except inside an `async with`, whose end closes it.
            if not self._entered:
                await self.aclose()

    async def __anext__(self) -> GivenT:
        if self._state is not SubscriptionState.CLOSED:
            async with self._consuming():
                return await self._next()
        raise StopAsyncIteration

    async def _next(self) -> GivenT:
        """Returns the next thing to give to the consumer."""
        raise NotImplementedError

    def _read(self, text: str | bytes) -> MessageT:
        """Raises UnexpectedAnswerError."""
        raise NotImplementedError

    async def _note(self, message: MessageT) -> None:
        """Handles the pending message where it is a notice."""

    async def _prepare(self) -> None:
        """Is awaited before the first message is received."""

    async def _finish(self) -> None:
        """Is awaited when it was closed."""

    def _explain(self, refusal: InvalidInputError) -> None:
        """Adds what the gateway's close frame, which holds 123 bytes, has no room for."""

    async def aclose(self) -> None:
        """Closes the subscription. The iteration of a consumer that waits for an event ends.

        Raises what its cursor raises, where it has one.
        """
        was_open = self._state is not SubscriptionState.CLOSED
        self._set_state(SubscriptionState.CLOSED)
        if self._here is not None:
            self._here.subscriptions.discard(self)
        if self._scope is not None:
            self._scope.cancel()
        with anyio.CancelScope(shield=True):
            try:
                if self._consumer not in {None, asyncio.current_task()}:
                    await self._consumer_left.wait()
                if was_open:
                    await self._finish()
            finally:
                await self._connection.close()

    @asynccontextmanager
    async def _consuming(self) -> AsyncIterator[None]:
        """Surrounds every wait of the consumer: `aclose` cancels the wait, and an error closes the subscription."""
        self._enter_loop()
        if self._consumer is not None:
            raise invalid_argument("a subscription is for one consumer, and another one waits for an event")
        self._consumer = asyncio.current_task()
        self._consumer_left.clear()
        try:
            with anyio.CancelScope() as self._scope:
                yield
        except Exception:
            self._consumer = None
            try:
                await self.aclose()
            except Exception:
                # What ended the subscription says more than that its position could not be saved then.
                logger.exception("the cursor failed")
            raise
        finally:
            self._consumer = None
            self._consumer_left.set()

    def _enter_loop(self) -> None:
        """Begins anew in another event loop or process: the connection and the consumer were those of the other."""
        here = self._connections()
        if here is self._here:
            return
        if self._here is not None:
            self._connection.leave()
            self._consumer = self._scope = None
            self._consumer_left = asyncio.Event()
        self._here = here
        here.subscriptions.add(self)
        self._connection.tokens = here.tokens

    async def _establish(self) -> None:
        """Waits until the gateway has accepted the subscription. The first event stays pending."""
        if self._state is not SubscriptionState.CLOSED:
            async with self._consuming():
                while not self._connection.accepted:
                    await self._note(await self._receive())
        if self._state is SubscriptionState.CLOSED:
            raise ClosedError("CLOSED", "the subscription was closed")

    async def _receive(self) -> MessageT:
        """Returns the pending message, or else the next one, which is pending then."""
        await self._prepare()
        if self._pending is None:
            try:
                text = await self._connection.receive()
            except InvalidInputError as refusal:
                self._explain(refusal)
                raise
            self._pending = self._read(text)
        return self._pending

    def _set_state(self, state: SubscriptionState) -> None:
        if state is self._state or self._state is SubscriptionState.CLOSED:
            return
        self._state = state
        if self._on_state is None:
            return
        try:
            self._on_state(state)
        except Exception:
            logger.exception("on_state failed")
