"""A subscription: an iterator of events that goes on through lost connections.

What happens with a message, and the invariant that holds between the steps:

1. *read*: the next message is read only when the consumer asks for an event, so the connection, and
   in the end the gateway, waits for the consumer. The message is pending then.
2. *taken*: an event is given to the consumer, a gap is told, a live notice is noted. Only then is
   the message's id the position that a new connection resumes from.
3. *done*: the consumer asks for the next event. Only then does the cursor get the position.

A cancellation or a lost connection between two steps repeats the later one, and skips none.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

import anyio

from ._incoming import Notice, message_of
from ._line import Gateway, Line, SubscriptionState
from .errors import ClosedError, CourierError, GapError, InvalidInputError
from .events import AnyEvent, CourierGapEvent, CourierLiveEvent
from .models import CourierGapData

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from .cursor import Cursor

logger = logging.getLogger("courier_client")

OnGap = Literal["continue", "fail"] | Callable[[CourierGapData], Awaitable[object] | object]
OnState = Callable[[SubscriptionState], object]


class Subscription:
    """Events, one after another. `CourierClient.subscribe` makes it and says what it takes.

    An async iterator, and an async context manager that ends it. For one consumer.
    """

    def __init__(
        self,
        gateway: Gateway,
        on_closed: Callable[[Subscription], None],
        *,
        channels: Sequence[str],
        types: Sequence[str] | None,
        start: str,
        last_event_id: str | None,
        on_gap: OnGap,
        cursor: Cursor | None,
        on_state: OnState | None,
    ) -> None:
        if not callable(on_gap) and on_gap not in {"continue", "fail"}:
            message = f"on_gap must be 'continue', 'fail' or a function, not {on_gap!r}"
            raise InvalidInputError("INVALID_ARGUMENT", message)
        self._on_closed = on_closed
        self._on_gap = on_gap
        self._on_state = on_state
        self._cursor = cursor
        self._loaded = cursor is None or last_event_id is not None
        # A new connection resumes from here.
        self._position = last_event_id
        self._pending: AnyEvent | Notice | None = None
        self._undone: str | None = None
        self._state = SubscriptionState.IDLE
        self._entered = False
        self._consumer: asyncio.Task[object] | None = None
        self._scope: anyio.CancelScope | None = None
        self._left = asyncio.Event()

        def url() -> str:
            return gateway.address.subscription(channels, types=types, start=start, last_event_id=self._position)

        self._line = Line(gateway, url, self._set_state)

    @property
    def state(self) -> SubscriptionState:
        return self._state

    @property
    def last_event_id(self) -> str | None:
        """The position of the last event or notice that was given: what comes after it is next."""
        return self._position

    @property
    def last_error(self) -> CourierError | None:
        """Why the connection was last lost, or could not be made."""
        return self._line.last_error

    async def __aenter__(self) -> Self:
        self._entered = True
        try:
            await self._establish()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def __aiter__(self) -> AsyncGenerator[AnyEvent, None]:
        try:
            while True:
                try:
                    event = await self.__anext__()
                except StopAsyncIteration:
                    return
                yield event
        finally:
            # A loop that is left ends the subscription, unless an `async with` will.
            if not self._entered:
                await self.aclose()

    async def __anext__(self) -> AnyEvent:
        if self._state is not SubscriptionState.CLOSED:
            async with self._waiting():
                await self.commit()
                while True:
                    event = await self._take(await self._read())
                    if event is not None:
                        return event
        raise StopAsyncIteration

    async def commit(self) -> None:
        """Has the cursor keep the position of the last event now, not when the next is asked for."""
        if self._undone is not None:
            await self._save(self._undone)
            self._undone = None

    async def aclose(self) -> None:
        """Ends it. A consumer that waits for an event comes to the end of the iteration."""
        self._set_state(SubscriptionState.CLOSED)
        self._on_closed(self)
        if self._scope is not None:
            self._scope.cancel()
        with anyio.CancelScope(shield=True):
            if self._consumer not in {None, asyncio.current_task()}:
                await self._left.wait()
            await self._line.hang_up()

    @asynccontextmanager
    async def _waiting(self) -> AsyncIterator[None]:
        """All that the consumer waits in. `aclose` ends it; an error closes the subscription."""
        if self._consumer is not None:
            message = "a subscription is for one consumer, and another one waits for an event"
            raise RuntimeError(message)
        self._consumer = asyncio.current_task()
        self._left.clear()
        try:
            with anyio.CancelScope() as self._scope:
                yield
        except Exception:
            self._consumer = None
            await self.aclose()
            raise
        finally:
            self._consumer = None
            self._left.set()

    async def _establish(self) -> None:
        """Until the gateway has let it in. The first event stays pending."""
        if self._state is not SubscriptionState.CLOSED:
            async with self._waiting():
                while not self._line.accepted:
                    message = await self._read()
                    if isinstance(message, CourierGapEvent | CourierLiveEvent):
                        await self._take(message)
        if self._state is SubscriptionState.CLOSED:
            raise ClosedError("CLOSED", "the subscription was closed")

    async def _read(self) -> AnyEvent | Notice:
        if not self._loaded and self._cursor is not None:
            position = self._cursor.load()
            self._position = await position if inspect.isawaitable(position) else position
            self._loaded = True
        if self._pending is None:
            self._pending = message_of(await self._line.receive())
        return self._pending

    async def _take(self, message: AnyEvent | Notice) -> AnyEvent | None:
        """Returns the event that is to be given to the consumer."""
        if isinstance(message, CourierGapEvent):
            await self._tell_gap(message.data)
        self._pending = None
        self._position = message.id
        if not isinstance(message, CourierGapEvent | CourierLiveEvent):
            self._undone = message.id
            return message
        if isinstance(message, CourierLiveEvent):
            self._set_state(SubscriptionState.LIVE)
        self._undone = message.id
        await self.commit()
        return None

    async def _tell_gap(self, gap: CourierGapData) -> None:
        if self._on_gap == "fail":
            raise GapError(gap)
        logger.warning("%s", GapError(gap).message)
        if self._on_gap != "continue":
            told = self._on_gap(gap)
            if inspect.isawaitable(told):
                await told

    async def _save(self, position: str) -> None:
        if self._cursor is not None:
            saved = self._cursor.save(position)
            if inspect.isawaitable(saved):
                await saved

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
