"""Publishing in the background: a gateway that is away neither breaks nor slows the service that publishes.

What waits is sent in batches. The gateway stores all events of a batch or none, so a batch that it refuses is sent
again in smaller ones, until the event that is refused is alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from itertools import islice
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, Literal

import anyio
from typing_extensions import TypeVar, Unpack

from ._arguments import count, function, of_type, seconds
from ._fork import leave_to_parent, watch_forks
from ._order import Place
from ._outgoing import MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Outgoing
from .contract import Channel
from .envelope import Data, EventDraft
from .errors import (
    ClosedError,
    CourierError,
    QueueFullError,
    UnauthorizedError,
    require_choice,
)
from .events import Submit
from .options import EventOptions
from .retry import Backoff

if TYPE_CHECKING:
    from typing_extensions import Self

    from .client import CourierClient

logger = logging.getLogger("courier_client")

BATCH_FRAME_BYTES = len(b'{"json":[]}')

OnError = Callable[[Exception, EventDraft[Any]], object]
"""A function that is called with each event that will not be stored, and the error that says why."""


SubmitT = TypeVar("SubmitT", default=Submit)
T = TypeVar("T")


@dataclass(frozen=True)
class _Waiting:
    """An event that is not settled: neither stored, nor dropped, nor refused."""

    event: Outgoing
    place: Place
    earlier: Sequence[Place]
    """Publishes on its channel that began before it was submitted."""

    @property
    def is_next(self) -> bool:
        """Whether it waits for nothing. What it waits for may itself wait for the event before it."""
        return all(place.done() for place in self.earlier)

    @property
    def size(self) -> int:
        # A comma separates the events of a batch.
        return len(self.event.body) + 1


class BackgroundPublisher(Generic[SubmitT]):
    """Publishes events in the order in which they were submitted, as many at once as the gateway takes.

    On one channel, they keep that order with what the client publishes itself. A publish that fails for a while is
    repeated until the events are stored. An event that the gateway refuses is counted and reported to `on_error`; the
    events beside it are stored. When `max_events` wait, the publisher drops an event for each new one: by default the
    oldest.

    In a child process, the publisher begins with nothing, in the event loop that first submits or flushes: the parent
    publishes what waits there.
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
            on_error: Called for every event that will not be stored: in the event loop, or in the thread that
                submits where that loop has ended.
            retry: The delays before events are published again; `Backoff()` by default. Each publish
                takes up to the client's `timeout`.

        Raises:
            InvalidInputError: an option is wrong. It names the option.
        """
        self._max_events = count("max_events", max_events)
        require_choice("when_full", when_full, "drop-oldest", "drop-newest")
        function("on_error", on_error)
        of_type("retry", retry, (Backoff, NoneType), "a Backoff")
        self._client = client
        self._when_full = when_full
        self._on_error = on_error
        self._retry = retry or Backoff()
        self._closed = False
        self._empty()
        self._begin(asyncio.get_running_loop())
        watch_forks(self)

    def _empty(self) -> None:
        """Begins with nothing, and in no event loop yet."""
        self._queue: deque[_Waiting] = deque()
        self._taken: deque[_Waiting] = deque()
        """Events that were taken from the queue, to be published: none of them is dropped for a new one."""
        self._may_be_stored = False
        """Whether an attempt may have stored those: a later one that is refused does not say."""
        self._handed_over: deque[Callable[[], None]] = deque()
        """What other threads have submitted, for the event loop to take."""
        self._batch_events = MAX_BATCH_EVENTS
        """Events of the next batch, at most: fewer after one was refused, and more again after one was stored."""
        self._overflowing = False
        self._submitted = self._published = self._dropped = self._refused = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: asyncio.Task[None] | None = None
        self._ended = True
        """Whether nobody publishes: the event loop has ended, or there is none yet."""

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raises ClosedError when the client was closed."""
        self._order = self._client.order()
        self._filled = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._loop = loop
        self._ended = False
        self._worker = loop.create_task(self._work(), name="courier-background-publisher")
        # A task that is cancelled before its first step executes nothing, no `finally` either.
        self._worker.add_done_callback(self._end)

    def after_fork(self) -> None:
        """Is called in a child process, which has an event loop of its own."""
        leave_to_parent(self._loop, self._worker, self._queue, self._taken)
        self._empty()

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
        """Events that wait, including those that are being published."""
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
            complete = self._client.outgoing(replace(event, timestamp=timestamp))
        except Exception as error:  # noqa: BLE001 (submitting never raises)
            self._in_loop(partial(self._refuse_at_once, event, error))
        else:
            self._in_loop(partial(self._enqueue, complete))

    async def flush(self, timeout: float | None = 5.0) -> bool:
        """Waits until no event is pending. Returns False when that takes longer than `timeout` seconds."""
        limit = seconds("timeout", timeout)
        self._adopt(asyncio.get_running_loop())
        if self._ended:
            return True
        with anyio.move_on_after(limit):
            await self._settled.wait()
        return self._settled.is_set()

    async def aclose(self, timeout: float | None = 5.0) -> None:
        """Waits up to `timeout` seconds for pending events, drops the rest, and closes the publisher."""
        limit = seconds("timeout", timeout)
        self._closed = True
        await self.flush(limit)
        while self._worker is not None and not self._worker.done():
            # On Python 3.10 a timeout that expires at the same moment swallows the cancellation: cancel again.
            self._worker.cancel()
            await asyncio.wait([self._worker], timeout=0.1)

    close = aclose
    """The same: `aclose` is its name for `contextlib.aclosing`."""

    def _adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins in the first event loop of a child process, unless the client or the publisher is closed."""
        if self._loop is None and not self._closed:
            with suppress(ClosedError):
                self._begin(loop)

    def _in_loop(self, step: Callable[[], None]) -> None:
        """Calls a function in the event loop: now, or soon when this is another thread. Here when it has ended."""
        running = _running_loop()
        if running is not None:
            self._adopt(running)
        if running is not None and running is self._loop:
            step()
            return
        # First handed over, then asked: either the loop that ends takes it, or this thread does.
        self._handed_over.append(step)
        if self._ended or self._loop is None:
            self._take_over()
            return
        try:
            self._loop.call_soon_threadsafe(self._take_over)
        except RuntimeError:
            # The loop was closed without ending its tasks.
            self._ended = True
            self._drop_all()

    def _take_over(self) -> None:
        for step in _each(self._handed_over):
            step()

    def _end(self, _worker: asyncio.Task[None]) -> None:
        self._ended = True
        for waiting in (*self._taken, *self._queue):
            self._leave(waiting)
        self._drop_all()
        self._settled.set()

    def _drop_all(self) -> None:
        for waiting in _each(self._taken):
            self._drop(waiting.event, _never_stored(may_be_stored=True))
        for waiting in _each(self._queue):
            self._drop(waiting.event, _never_stored())
        self._take_over()

    def _enqueue(self, event: Outgoing) -> None:
        self._submitted += 1
        if self._closed or self._ended:
            self._drop(event, _never_stored())
            return
        if len(self._queue) >= self._max_events:
            dropped = self._make_room_for(event)
            self._drop(dropped, QueueFullError("QUEUE_FULL", f"{self._max_events} events wait"))
            if dropped is event:
                return
        place: Place = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(event, place, self._order.submit(event.draft.channel, place)))
        self._settled.clear()
        self._filled.set()

    def _make_room_for(self, event: Outgoing) -> Outgoing:
        """Returns the event to drop."""
        if not self._overflowing:
            logger.warning("%d events wait to be published: dropping some", self._max_events)
            self._overflowing = True
        if self._when_full == "drop-newest":
            return event
        oldest = self._queue.popleft()
        self._leave(oldest)
        return oldest.event

    def _settle(self, batch: Sequence[_Waiting]) -> Sequence[_Waiting]:
        """Forgets the events, which are those that were taken first. Returns them."""
        for waiting in batch:
            self._taken.popleft()
            self._leave(waiting)
        return batch

    def _leave(self, waiting: _Waiting) -> None:
        self._order.settle(waiting.event.draft.channel, waiting.place)

    def _refuse_at_once(self, event: EventDraft[Any], error: Exception) -> None:
        self._submitted += 1
        self._refuse(event, error)

    def _refuse(self, event: EventDraft[Any], error: Exception) -> None:
        self._refused += 1
        logger.error("an event was refused: %s", error)
        self._report(event, error)

    def _drop(self, event: Outgoing, error: Exception) -> None:
        self._dropped += 1
        self._report(event.as_sent(), error)

    def _report(self, event: EventDraft[Any], error: Exception) -> None:
        if self._on_error is None:
            return
        try:
            self._on_error(error, event)
        except Exception:
            logger.exception("on_error failed")

    async def _work(self) -> None:
        while True:
            await self._filled.wait()
            while self._taken or self._queue:
                if not self._taken:
                    self._take()
                if self._taken:
                    await self._publish([*islice(self._taken, self._batch_events)])
                else:
                    await asyncio.wait(self._queue[0].earlier)
            self._overflowing = False
            self._filled.clear()
            self._settled.set()

    def _take(self) -> None:
        """Takes the next events that wait for nothing, and that fit into one call."""
        self._may_be_stored = False
        size = BATCH_FRAME_BYTES
        while self._queue and len(self._taken) < self._batch_events and self._queue[0].is_next:
            size += self._queue[0].size
            if self._taken and size > MAX_BATCH_BYTES:
                break
            self._taken.append(self._queue.popleft())

    async def _publish(self, batch: Sequence[_Waiting]) -> None:
        """Returns once the events are stored or refused, or are to be published in smaller batches."""
        failures = 0
        while (error := await self._attempt(batch)) is not None:
            delay = self._retry.delay_after(error, failures)
            failures += 1
            logger.warning("%s; %d events wait", error, self.pending)
            await anyio.sleep(delay)

    async def _attempt(self, batch: Sequence[_Waiting]) -> CourierError | None:
        """Publishes the events once. Returns the error when the same publish may succeed later."""
        try:
            events = [waiting.event for waiting in batch]
            await self._client.publish_submitted(events, may_be_stored=self._may_be_stored)
        except ClosedError as error:
            for waiting in self._settle(batch):
                self._drop(waiting.event, error)
        except Exception as error:  # noqa: BLE001 (one event's error must not end the worker)
            if isinstance(error, CourierError):
                self._may_be_stored = error.may_be_stored
                if error.retryable:
                    return error
            self._refused_together(batch, error)
        else:
            self._published += len(batch)
            self._batch_events = min(MAX_BATCH_EVENTS, self._batch_events * 2)
            self._settle(batch)
        return None

    def _refused_together(self, batch: Sequence[_Waiting], error: Exception) -> None:
        if len(batch) > 1 and not isinstance(error, UnauthorizedError):
            self._batch_events = len(batch) // 2
            return
        for waiting in self._settle(batch):
            self._refuse(waiting.event.as_sent(), error)


def _each(things: deque[T]) -> Iterator[T]:
    """Takes all. When several threads do so at the same time, each thing is for one of them."""
    while True:
        try:
            thing = things.popleft()
        except IndexError:
            return
        yield thing


def _never_stored(*, may_be_stored: bool = False) -> ClosedError:
    message = "the publisher was closed, or its event loop has ended"
    return ClosedError("CLOSED", message, may_be_stored=may_be_stored)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
