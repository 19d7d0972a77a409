"""Publishing in the background: a gateway that is away neither breaks nor slows the service that publishes."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Generic, Literal

import anyio
from typing_extensions import TypeVar, Unpack

from ._outgoing import snapshot
from .contract import Channel
from .envelope import Data, EventDraft
from .errors import ClosedError, CourierError, QueueFullError, invalid_argument, require_choice
from .events import Submit
from .options import EventOptions
from .retry import Backoff

if TYPE_CHECKING:
    from typing_extensions import Self

    from .client import CourierClient

logger = logging.getLogger("courier_client")

OnError = Callable[[Exception, EventDraft[Any]], object]
"""A function that is called with each event that will not be stored, and the error that says why."""


SubmitT = TypeVar("SubmitT", default=Submit)


class BackgroundPublisher(Generic[SubmitT]):
    """Publishes events one after another, in the order in which they were submitted.

    A publish that fails for a while is repeated until the event is stored. An event that the gateway
    refuses is counted and reported to `on_error`. When `max_events` wait, the publisher drops an event
    for each new one: by default the oldest.
    """

    def __init__(
        self,
        client: CourierClient[Any, Any, Any, SubmitT],
        *,
        max_events: int = 1000,
        when_full: Literal["drop-oldest", "drop-newest"] = "drop-oldest",
        on_error: OnError | None = None,
        retry: Backoff | None = None,
    ) -> None:
        """Make it in the event loop of the client.

        Args:
            client: Publishes the events. The publisher does not close it.
            max_events: The most events that may wait; 1 or more.
            when_full: Which event to drop when `max_events` wait: the oldest, or the new one.
            on_error: Called, in the event loop, for every event that will not be stored.
            retry: The delays before an event is published again; `Backoff()` by default. Each publish
                takes up to the client's `timeout`.

        Raises:
            InvalidInputError: `max_events` is less than 1, or `when_full` is neither of its values.
        """
        if max_events < 1:
            raise invalid_argument(f"max_events must be 1 or more, not {max_events}", path="max_events")
        require_choice("when_full", when_full, "drop-oldest", "drop-newest")
        self._client = client
        self._max_events = max_events
        self._when_full = when_full
        self._on_error = on_error
        self._retry = retry or Backoff()
        self._queue: deque[EventDraft[Any]] = deque()
        self._loop = asyncio.get_running_loop()
        self._filled = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._closed = False
        self._overflowing = False
        self._submitted = self._published = self._dropped = self._refused = 0
        self._worker = self._loop.create_task(self._work(), name="courier-background-publisher")

    @property
    def submitted(self) -> int:
        """Events that were submitted: `published + dropped + refused + pending`."""
        return self._submitted

    @property
    def published(self) -> int:
        """Events that the gateway has stored."""
        return self._published

    @property
    def dropped(self) -> int:
        """Events that were dropped, because the queue was full or the publisher was closed."""
        return self._dropped

    @property
    def refused(self) -> int:
        """Events that are invalid, or that the gateway refused for good."""
        return self._refused

    @property
    def pending(self) -> int:
        """Events that wait, including the one that is being published."""
        return self._submitted - self._published - self._dropped - self._refused

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    def _submit(
        self,
        channel: str | Channel,
        event_type: str,
        data: Data,
        **options: Unpack[EventOptions],
    ) -> None:
        """Submits an event. Never raises and never waits. Any thread may call it.

        `timestamp` is the time of this call by default. Later changes of `data` have no effect.

        Args:
            channel: A name such as `backtest.b1`, or one that `courier_client.channels` makes.
            event_type: Such as `backtest.progress`.
            data: A mapping or one of `courier_client.models`; at most 100 KiB as JSON.
            **options: `correlation_id`, `user_id`, `timestamp`, `traceparent`, `idempotency_key`:
                see `EventOptions`.
        """
        self.submit_event(EventDraft(channel=str(channel), type=event_type, data=data, **options))

    if TYPE_CHECKING:
        submit: SubmitT
        """As `_submit`, with the channels and the data that the contract has for each event type."""

    else:
        submit = _submit

    def submit_event(self, event: EventDraft[Any]) -> None:
        """Submits a draft, which the functions of `courier_client.events` make. Otherwise as `submit`."""
        try:
            # The event happened now, with the data of now, however late it is published.
            timestamp = event.timestamp or datetime.now(timezone.utc)
            key = event.idempotency_key or uuid.uuid4().hex
            complete = snapshot(replace(event, timestamp=timestamp, idempotency_key=key))
        except Exception as error:  # noqa: BLE001 (submitting never raises)
            self._in_loop(self._refuse_at_once, event, error)
        else:
            self._in_loop(self._enqueue, complete)

    async def flush(self, timeout: float | None = None) -> bool:
        """Waits until no event is pending. Returns False when that takes longer than `timeout` seconds."""
        with anyio.move_on_after(timeout):
            await self._settled.wait()
        return self._settled.is_set()

    async def aclose(self, timeout: float = 5.0) -> None:
        """Waits up to `timeout` seconds for pending events, drops the rest, and closes the publisher."""
        self._closed = True
        await self.flush(timeout)
        while not self._worker.done():
            # On Python 3.10 a timeout that expires at the same moment swallows the cancellation: cancel again.
            self._worker.cancel()
            await asyncio.wait([self._worker], timeout=0.1)

    def _in_loop(self, call: Callable[..., None], *arguments: Any) -> None:
        """Calls a function in the event loop: now, or soon when this is another thread."""
        if _running_loop() is self._loop:
            call(*arguments)
            return
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            # The event loop has ended: nothing else counts any more.
            self._submitted += 1
            self._dropped += 1

    def _enqueue(self, event: EventDraft[Any]) -> None:
        self._submitted += 1
        if self._closed:
            self._drop(event, ClosedError("CLOSED", "the publisher was closed"))
            return
        if len(self._queue) >= self._max_events:
            self._make_room_for(event)
        else:
            self._queue.append(event)
        self._settled.clear()
        self._filled.set()

    def _make_room_for(self, event: EventDraft[Any]) -> None:
        if not self._overflowing:
            logger.warning("%d events wait to be published: dropping some", self._max_events)
            self._overflowing = True
        dropped = event
        if self._when_full == "drop-oldest":
            dropped = self._queue.popleft()
            self._queue.append(event)
        self._drop(dropped, QueueFullError("QUEUE_FULL", f"{self._max_events} events wait"))

    def _refuse_at_once(self, event: EventDraft[Any], error: Exception) -> None:
        self._submitted += 1
        self._refuse(event, error)

    def _refuse(self, event: EventDraft[Any], error: Exception) -> None:
        self._refused += 1
        logger.error("an event was refused: %s", error)
        self._report(event, error)

    def _drop(self, event: EventDraft[Any], error: Exception) -> None:
        self._dropped += 1
        self._report(event, error)

    def _report(self, event: EventDraft[Any], error: Exception) -> None:
        if self._on_error is None:
            return
        try:
            self._on_error(error, event)
        except Exception:
            logger.exception("on_error failed")

    async def _work(self) -> None:
        try:
            while True:
                await self._filled.wait()
                while self._queue:
                    await self._publish(self._queue.popleft())
                self._overflowing = False
                self._filled.clear()
                self._settled.set()
        finally:
            self._closed = True
            while self._queue:
                self._drop_unstored(self._queue.popleft())
            self._settled.set()

    async def _publish(self, event: EventDraft[Any]) -> None:
        """Returns once the event is stored or refused."""
        failures = 0
        try:
            while (error := await self._attempt(event)) is not None:
                delay = self._retry.delay_after(error, failures)
                failures += 1
                logger.warning("%s; %d events wait", error, self.pending)
                await anyio.sleep(delay)
        except asyncio.CancelledError:
            self._drop_unstored(event)
            raise

    async def _attempt(self, event: EventDraft[Any]) -> CourierError | None:
        """Publishes the event once. Returns the error when the same publish may succeed later."""
        try:
            await self._client.publish_event(event)
        except Exception as error:  # noqa: BLE001 (one event's error must not end the worker)
            if isinstance(error, CourierError) and error.retryable:
                return error
            self._refuse(event, error)
        else:
            self._published += 1
        return None

    def _drop_unstored(self, event: EventDraft[Any]) -> None:
        self._drop(event, ClosedError("CLOSED", "the publisher was closed before it was stored"))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
