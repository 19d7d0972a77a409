"""A subscription: an iterator of events that continues through lost connections.

Each message passes three phases:

1. *received*: the consumer asks for an event, and the subscription receives the next message, which
   is pending from then on. Nothing is received ahead of the consumer, so a slow consumer makes the
   connection wait, and in the end the gateway.
2. *given*: the subscription gives an event to the consumer, reports a gap to `on_gap`, or notes
   that it is live. From then on a new connection resumes after the message's id.
3. *handled*: the consumer asks for the next event. The message's id is the position of the subscription from then
   on, and the cursor saves it.

Invariant: a cancellation or a lost connection between two phases repeats the later phase. No
message skips a phase.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic

import anyio
from typing_extensions import TypeVar

from ._arguments import check_on_gap
from ._connection import Connection, SubscriptionState
from ._filter import Filter
from ._incoming import Notice, message_of
from .cursor import BufferedCursor
from .envelope import CourierGapData, CourierGapEvent, CourierLiveEvent, Event
from .errors import ClosedError, CourierError, GapError, InvalidInputError, invalid_argument
from .events import AnyEvent
from .options import OnGap

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._gateway import Gateway
    from ._loop import LoopConnections
    from .cursor import Cursor

logger = logging.getLogger("courier_client")

OnState = Callable[[SubscriptionState], object]
"""A function that is called with each new state."""


EventT = TypeVar("EventT", bound=Event[Any], default=AnyEvent)


class Subscription(Generic[EventT]):
    """An async iterator of events, and an async context manager that closes it. For one consumer at a time.

    `CourierClient.subscribe` makes subscriptions, and describes their options and errors.
    """

    def __init__(
        self,
        gateway: Gateway[EventT],
        connections: Callable[[], LoopConnections],
        filter_: Filter,
        *,
        last_event_id: str | None,
        on_gap: OnGap,
        cursor: Cursor | None,
        on_state: OnState | None,
        give_up_after: float,
    ) -> None:
        """`connections` returns those of the running event loop."""
        check_on_gap(on_gap)
        self._contract = gateway.contract
        self._types = filter_.types or ()
        self._connections = connections
        self._here: LoopConnections | None = None
        self._on_gap = on_gap
        self._on_state = on_state
        self._cursor = cursor
        self._must_load_cursor = cursor is not None and last_event_id is None
        self._handled = last_event_id
        # A new connection resumes after this position.
        self._given = last_event_id
        self._pending: EventT | Notice | None = None
        self._unsaved_position: str | None = None
        self._state = SubscriptionState.IDLE
        self._entered = False
        self._consumer: asyncio.Task[object] | None = None
        self._scope: anyio.CancelScope | None = None
        self._consumer_left = asyncio.Event()
        self._connection = Connection(
            gateway,
            give_up_after,
            lambda: gateway.address.subscription(filter_, self._given),
            self._set_state,
        )

    @property
    def state(self) -> SubscriptionState:
        """What the subscription is doing now."""
        return self._state

    @property
    def last_event_id(self) -> str | None:
        """The position of the last event that was handled, or of a later notice: start another subscription after it.

        An event is handled when the next one is asked for, or with `commit`. None before the first one, unless the
        subscription started with a position.
        """
        return self._handled

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

    async def __aiter__(self) -> AsyncGenerator[EventT, None]:
        try:
            while True:
                try:
                    event = await self.__anext__()
                except StopAsyncIteration:
                    return
                yield event
        finally:
            # Leaving the loop closes the subscription, except inside an `async with`, whose end closes it.
            if not self._entered:
                await self.aclose()

    async def __anext__(self) -> EventT:
        if self._state is not SubscriptionState.CLOSED:
            async with self._consuming():
                await self._save()
                while True:
                    event = await self._handle(await self._receive())
                    if event is not None:
                        return event
        raise StopAsyncIteration

    async def commit(self) -> None:
        """Says that the last event is handled, and saves its position now, not when the next event is asked for.

        Raises what the cursor raises.
        """
        await self._save()
        await self._flush_cursor()

    async def _save(self) -> None:
        position = self._unsaved_position
        if position is None:
            return
        self._handled = position
        if self._cursor is not None:
            await _done(self._cursor.save(position))
        self._unsaved_position = None

    async def _flush_cursor(self) -> None:
        if isinstance(self._cursor, BufferedCursor):
            await _done(self._cursor.flush())

    async def aclose(self) -> None:
        """Closes the subscription. The iteration of a consumer that waits for an event ends.

        Raises what the cursor raises.
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
                    await self._flush_cursor()
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
                    message = await self._receive()
                    if isinstance(message, CourierGapEvent | CourierLiveEvent):
                        await self._handle(message)
        if self._state is SubscriptionState.CLOSED:
            raise ClosedError("CLOSED", "the subscription was closed")

    async def _receive(self) -> EventT | Notice:
        """Returns the pending message, or else the next one, which is pending then."""
        if self._must_load_cursor and self._cursor is not None:
            self._handled = self._given = await _done(self._cursor.load())
            self._must_load_cursor = False
        if self._pending is None:
            try:
                message = await self._connection.receive()
            except InvalidInputError as refusal:
                self._explain(refusal)
                raise
            self._pending = message_of(message, self._contract)
        return self._pending

    def _explain(self, refusal: InvalidInputError) -> None:
        """Names the types that are wrong: the gateway's own words are cut off, as a close frame holds 123 bytes."""
        issues = self._contract.issues_of_types(self._types) if refusal.message.startswith("types") else []
        if issues:
            refusal.message, refusal.issues = issues[0].message, tuple(issues)

    async def _handle(self, message: EventT | Notice) -> EventT | None:
        """Handles the pending message. Returns an event to give to the consumer, and None for a notice."""
        if isinstance(message, CourierGapEvent):
            await self._report_gap(message.data)
        self._pending = None
        self._given = message.id
        self._unsaved_position = message.id
        if not isinstance(message, CourierGapEvent | CourierLiveEvent):
            return message
        if isinstance(message, CourierLiveEvent):
            self._set_state(SubscriptionState.LIVE)
        await self._save()
        return None

    async def _report_gap(self, gap: CourierGapData) -> None:
        if self._on_gap == "fail":
            raise GapError(gap)
        logger.warning("%s", GapError(gap).message)
        if callable(self._on_gap):
            await _done(self._on_gap(gap))

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


async def _done(result: Any) -> Any:
    """The result of a function that may be async."""
    return await result if inspect.isawaitable(result) else result
