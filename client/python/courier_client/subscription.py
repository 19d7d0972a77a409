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

import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from ._arguments import check_on_gap
from ._connection import SubscriptionState
from ._filter import Filter
from ._incoming import Notice, message_of
from ._stream import OnState, Stream
from .cursor import BufferedCursor
from .envelope import CourierGapData, CourierGapEvent, CourierLiveEvent, Event
from .errors import GapError, InvalidInputError
from .events import AnyEvent
from .options import OnGap

if TYPE_CHECKING:
    from ._gateway import Gateway
    from ._loop import LoopConnections
    from .cursor import Cursor

logger = logging.getLogger("courier_client")

EventT = TypeVar("EventT", bound=Event[Any], default=AnyEvent)


class Subscription(Stream["EventT | Notice", EventT], Generic[EventT]):
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
        self._on_gap = on_gap
        self._cursor = cursor
        self._must_load_cursor = cursor is not None and last_event_id is None
        self._handled = last_event_id
        # A new connection resumes after this position.
        self._given = last_event_id
        self._unsaved_position: str | None = None
        super().__init__(
            gateway,
            connections,
            lambda: gateway.address.subscription(filter_, self._given),
            on_state=on_state,
            give_up_after=give_up_after,
        )

    @property
    def last_event_id(self) -> str | None:
        """The position of the last event that was handled, or of a later notice: start another subscription after it.

        An event is handled when the next one is asked for, or with `commit`. None before the first one, unless the
        subscription started with a position.
        """
        return self._handled

    async def commit(self) -> None:
        """Says that the last event is handled, and saves its position now, not when the next event is asked for.

        Raises what the cursor raises.
        """
        await self._save()
        await self._finish()

    async def _save(self) -> None:
        position = self._unsaved_position
        if position is None:
            return
        self._handled = position
        if self._cursor is not None:
            await _done(self._cursor.save(position))
        self._unsaved_position = None

    async def _finish(self) -> None:
        if isinstance(self._cursor, BufferedCursor):
            await _done(self._cursor.flush())

    async def _next(self) -> EventT:
        await self._save()
        while True:
            event = await self._handle(await self._receive())
            if event is not None:
                return event

    async def _note(self, message: EventT | Notice) -> None:
        if isinstance(message, CourierGapEvent | CourierLiveEvent):
            await self._handle(message)

    async def _prepare(self) -> None:
        if self._must_load_cursor and self._cursor is not None:
            self._handled = self._given = await _done(self._cursor.load())
            self._must_load_cursor = False

    def _read(self, text: str | bytes) -> EventT | Notice:
        return message_of(text, self._contract)

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


async def _done(result: Any) -> Any:
    """The result of a function that may be async."""
    return await result if inspect.isawaitable(result) else result
