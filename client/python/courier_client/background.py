"""Publishing in the background: a gateway that is away neither breaks nor slows the service that publishes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, Literal

import anyio
from typing_extensions import TypeVar, Unpack

from ._arguments import check_keywords, count, function, of_type, public, seconds
from ._buffer import Bounds
from ._fork import leave_to_parent, watch_forks
from ._hand_over import HandOver, running_loop
from ._outcomes import OnError, Outcomes, never_stored
from ._outgoing import Outgoing
from ._sender import Sender
from .contract import Channel
from .envelope import Data, EventDraft
from .errors import ClosedError, CourierError, invalid_argument, require_choice
from .events import Submit
from .options import EventOptions
from .retry import Backoff

if TYPE_CHECKING:
    from typing_extensions import Self

    from .client import CourierClient

SubmitT = TypeVar("SubmitT", default=Submit)


@dataclass(frozen=True)
class _Refused:
    """An event that cannot be sent as it was submitted."""

    event: EventDraft[Any]
    error: Exception


def _size_of(submission: Outgoing | _Refused) -> int:
    return len(submission.body) if isinstance(submission, Outgoing) else 0


class BackgroundPublisher(Generic[SubmitT]):
    """Publishes events in the order in which they were submitted, as many at once as the gateway takes.

    On one channel, they keep that order with what the client publishes itself. A publish that fails for a while is
    repeated until the event is stored. An event that the gateway refuses is counted and reported to `on_error`; the
    events beside it are stored. Where the limit of a channel is reached, the events of that channel wait, and the
    others are published. When more than `max_events` or `max_queued_bytes` would wait, the publisher drops events: by
    default the oldest.

    In a child process, the publisher begins with nothing, in the event loop that first submits or flushes: the parent
    publishes what waits there.
    """

    def __init__(
        self,
        client: CourierClient[Any, Any, Any, SubmitT],
        *,
        max_events: int = 1000,
        max_queued_bytes: int = 16 * 1024 * 1024,
        when_full: Literal["drop-oldest", "drop-newest"] = "drop-oldest",
        on_error: OnError | None = None,
        retry: Backoff | None = None,
    ) -> None:
        """Make it in the event loop of the client.

        Args:
            client: Publishes the events. The publisher does not close it.
            max_events: The most events that may wait; 1 or more.
            max_queued_bytes: The most bytes that those may have as JSON; 1 or more, and 16 MiB by default.
            when_full: Which events to drop when more would wait: the oldest, or the new one. A new one that is larger
                than `max_queued_bytes` is always the one.
            on_error: Called for every event that will not be stored: in the event loop, or in the thread that submits
                where that loop has ended, or is so busy that more events wait for it than may. What it publishes
                has no cause of `caused_by`.
            retry: The delays before events are published again; `Backoff()` by default. Each attempt takes up to
                the client's `timeout`.

        Raises:
            InvalidInputError: an option is wrong. It names the option.
        """
        max_events = count("max_events", max_events)
        max_queued_bytes = count("max_queued_bytes", max_queued_bytes)
        require_choice("when_full", when_full, "drop-oldest", "drop-newest")
        function("on_error", on_error)
        of_type("retry", retry, (Backoff, NoneType), "a Backoff")
        self._client = client
        self._bounds = Bounds(max_events, max_queued_bytes, drops_oldest=when_full == "drop-oldest")
        self._on_error = on_error
        self._retry = retry or Backoff()
        self._closed = False
        self._empty()
        self._begin(asyncio.get_running_loop())
        watch_forks(self)

    def _empty(self) -> None:
        """Begins with nothing, and in no event loop yet."""
        self._outcomes = Outcomes(self._on_error)
        self._hand_over = HandOver(self._bounds, _size_of, self._accept, self._lose)
        self._sender: Sender | None = None
        self._worker: asyncio.Task[None] | None = None

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raises ClosedError when the client was closed."""
        sender = Sender(self._client, self._bounds, self._outcomes, self._retry)
        if not self._hand_over.begin(loop):
            return
        self._sender = sender
        sender.order.sources.add(self._hand_over.take_all)
        self._worker = loop.create_task(self._sender.work(), name="courier-background-publisher")
        # A task that is cancelled before its first step executes nothing, no `finally` either.
        self._worker.add_done_callback(self._end)

    def after_fork(self) -> None:
        """Is called in a child process, which has an event loop of its own."""
        leave_to_parent(self._hand_over, self._worker, self._sender)
        self._empty()

    @property
    def submitted(self) -> int:
        """Events that were submitted: `published + dropped + refused + pending`."""
        return self._outcomes.submitted

    @property
    def published(self) -> int:
        """Events that the gateway has stored."""
        return self._outcomes.published

    @property
    def dropped(self) -> int:
        """Events that were dropped, because the queue was full or the publisher was closed."""
        return self._outcomes.dropped

    @property
    def refused(self) -> int:
        """Events that are invalid, or that the gateway refused for good."""
        return self._outcomes.refused

    @property
    def pending(self) -> int:
        """Events that wait, including those that are being published."""
        return self._outcomes.pending

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    @public
    def _submit(
        self,
        channel: str | Channel,
        event_type: str,
        data: Data,
        **options: Unpack[EventOptions],
    ) -> None:
        """Submits an event. Never raises, but for a keyword that there is not, and never waits. Any thread may call it.

        `timestamp` is the time of this call by default. Later changes of `data` have no effect.

        Args:
            channel: A name such as `backtest.b1`, or one that `courier_client.channels` makes.
            event_type: Such as `backtest.progress`.
            data: A mapping or one of `courier_client.models`; at most 100 KiB as JSON.
            **options: `correlation_id`, `causation_id`, `user_id`, `timestamp`, `traceparent`, `idempotency_key`:
                see `EventOptions`.
        """
        check_keywords(f"{type(self).__name__}.submit", options, EventOptions)
        self.submit_event(EventDraft(channel=str(channel), type=event_type, data=data, **options))

    if TYPE_CHECKING:
        submit: SubmitT
        """As `_submit`, with the channels and the data that the contract has for each event type."""

    else:
        submit = _submit

    def submit_event(self, event: EventDraft[Any]) -> None:
        """Submits a draft, which the functions of `courier_client.events` make. Otherwise as `submit`."""
        submission: Outgoing | _Refused
        try:
            # The event happened now, with the data of now, however late it is published.
            timestamp = event.timestamp or datetime.now(timezone.utc)
            submission = self._client.outgoing(replace(event, timestamp=timestamp))
        except Exception as error:  # noqa: BLE001 (submitting never raises)
            submission = _Refused(event, error)
        running = running_loop()
        if running is not None:
            self._adopt(running)
        self._outcomes.submit()
        if not self._hand_over.give(submission):
            self._lose_all()

    async def flush(self, timeout: float | None = 5.0) -> bool:
        """Waits until no event is pending. Returns False when that takes longer than `timeout` seconds.

        Raises:
            InvalidInputError: the publisher works in another event loop.
        """
        limit = seconds("timeout", timeout)
        self._adopt(asyncio.get_running_loop())
        self._take_all()
        if self._hand_over.ended or self._sender is None:
            return True
        with anyio.move_on_after(limit):
            await self._sender.settled.wait()
        return self._sender.settled.is_set()

    async def aclose(self, timeout: float | None = 5.0) -> None:
        """Waits up to `timeout` seconds for pending events, drops the rest, and closes the publisher.

        Raises as `flush`.
        """
        limit = seconds("timeout", timeout)
        self._take_all()
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
        if self._hand_over.loop is None and not self._closed:
            with suppress(ClosedError):
                self._begin(loop)

    def _take_all(self) -> None:
        """Takes what other threads have submitted before. Raises InvalidInputError in another event loop."""
        if self._hand_over.ended:
            return
        if running_loop() is not self._hand_over.loop:
            raise invalid_argument("a background publisher must be flushed and closed in its own event loop")
        self._hand_over.take_all()

    def _accept(self, submission: Outgoing | _Refused) -> None:
        if self._sender is None or self._closed or self._hand_over.ended or isinstance(submission, _Refused):
            self._lose(submission, never_stored())
        else:
            self._sender.submit(submission)

    def _lose(self, submission: Outgoing | _Refused, error: CourierError) -> None:
        if isinstance(submission, _Refused):
            self._outcomes.refuse(submission.event, submission.error)
        else:
            self._outcomes.drop(submission, error)

    def _end(self, _worker: asyncio.Task[None]) -> None:
        if self._sender is not None:
            self._sender.order.sources.discard(self._hand_over.take_all)
            self._sender.leave()
            self._lose_all()
            self._sender.settled.set()

    def _lose_all(self) -> None:
        self._hand_over.end()
        if self._sender is not None:
            self._sender.lose_all()
