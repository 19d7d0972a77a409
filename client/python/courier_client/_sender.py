"""Sends what a background publisher was given, in one event loop.

What waits is sent in batches. The gateway stores all events of a batch or none. A batch that it refuses is sent again
in smaller ones, until the event that is refused is alone. Of a batch that the limit of a channel holds up, the events
of that channel are put aside for as long as the gateway asks, and the others are sent at once. Fewer of that channel go
together from then on, so that others who publish there one by one do not take every place before them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

import anyio

from ._buffer import Bounds, each
from ._outcomes import never_stored
from ._outgoing import MAX_BATCH_EVENTS, Outgoing
from ._queue import Queue, Waiting
from .errors import ClosedError, CourierError, UnauthorizedError
from .retry import log_repetition

if TYPE_CHECKING:
    from ._outcomes import Outcomes
    from .client import CourierClient
    from .retry import Backoff

logger = logging.getLogger("courier_client")


class Sender:
    """Publishes the events of a queue until it is cancelled."""

    def __init__(
        self,
        client: CourierClient[Any, Any, Any, Any],
        bounds: Bounds,
        outcomes: Outcomes,
        retry: Backoff,
    ) -> None:
        """Raises ClosedError when the client was closed."""
        self._client = client
        self._bounds = bounds
        self.order = client.order()
        self._queue = Queue(self.order, bounds)
        self._outcomes = outcomes
        self._retry = retry
        self._taken: deque[Waiting] = deque()
        """Events that were taken from the queue, to be published: none of them is dropped for a new one."""
        self._batch_events = MAX_BATCH_EVENTS
        """Events of the next batch, at most: fewer after one was refused, and more again after one was stored."""
        self.settled = asyncio.Event()
        """Whether no event waits."""
        self.settled.set()

    def submit(self, event: Outgoing) -> None:
        """Makes the event wait, and drops events for which there is no room."""
        self.settled.clear()
        # The callback for a dropped event may itself submit one.
        for lost in self._queue.add(event):
            self._queue.settle(lost)
            self._outcomes.drop(lost.event, self._bounds.full(may_be_stored=lost.may_be_stored))

    def leave(self) -> None:
        """Gives up the places of all events: they never will be stored."""
        for waiting in (*self._taken, *self._queue):
            self._queue.settle(waiting)

    def lose_all(self) -> None:
        """Drops all events, in whichever thread finds that the event loop has ended."""
        for waiting in (*each(self._taken), *self._queue.empty()):
            self._outcomes.drop(waiting.event, never_stored(may_be_stored=waiting.may_be_stored))

    async def work(self) -> None:
        while True:
            if not self._taken:
                self._taken.extend(self._queue.take(self._batch_events))
            if self._taken:
                await self._publish(self._next_batch())
                continue
            if not self._queue:
                self.settled.set()
            await self._queue.changed()

    def _next_batch(self) -> Sequence[Waiting]:
        """Events that may be stored go apart from others: what is said of one of a batch is said of all."""
        first = self._taken[0]
        most = islice(self._taken, self._batch_events)
        return [*takewhile(lambda waiting: waiting.may_be_stored == first.may_be_stored, most)]

    async def _publish(self, batch: Sequence[Waiting]) -> None:
        """Returns once the events are stored or refused, or are to be published otherwise."""
        failures = 0
        while (error := await self._attempt(batch)) is not None:
            if any(waiting.channel == error.channel for waiting in batch):
                self._put_aside(batch, error)
                return
            delay = self._retry.delay_after(error, failures)
            failures += 1
            log_repetition(failures, "%d events wait: %s", self._outcomes.pending, error)
            await anyio.sleep(delay)

    async def _attempt(self, batch: Sequence[Waiting]) -> CourierError | None:
        """Publishes the events once. Returns the error when the same publish may succeed later."""

        def mark(may_be_stored: bool) -> None:  # noqa: FBT001 (a callback)
            for waiting in batch:
                waiting.may_be_stored = may_be_stored

        try:
            events = [waiting.event for waiting in batch]
            await self._client.publish_submitted(events, may_be_stored=batch[0].may_be_stored, mark=mark)
        except ClosedError as error:
            error.may_be_stored = batch[0].may_be_stored
            for waiting in self._settle(batch):
                self._outcomes.drop(waiting.event, error)
        except Exception as error:  # noqa: BLE001 (one event's error must not end the worker)
            if isinstance(error, CourierError) and error.retryable:
                return error
            self._refused_together(batch, error)
        else:
            self._outcomes.publish(len(batch))
            self._batch_events = min(MAX_BATCH_EVENTS, self._batch_events * 2)
            self._queue.let_grow({waiting.channel for waiting in batch})
            self._settle(batch)
        return None

    def _put_aside(self, batch: Sequence[Waiting], error: CourierError) -> None:
        """Lets a channel rest whose limit is reached. The others go on at once."""
        channel = str(error.channel)
        aside = [waiting for waiting in self._taken if waiting.channel == channel]
        self._taken = deque(waiting for waiting in self._taken if waiting.channel != channel)
        refused = sum(waiting.channel == channel for waiting in batch)
        self._queue.put_aside(aside, channel, refused, self._retry.delay_after(error, 0))
        logger.info("the events of %s wait: %s", channel, error)

    def _refused_together(self, batch: Sequence[Waiting], error: Exception) -> None:
        if len(batch) > 1 and not isinstance(error, UnauthorizedError):
            self._batch_events = len(batch) // 2
            return
        for waiting in self._settle(batch):
            self._outcomes.refuse(waiting.event.as_sent(), error)

    def _settle(self, batch: Sequence[Waiting]) -> Sequence[Waiting]:
        """Forgets the events, which are those that were taken first. Returns them."""
        for waiting in batch:
            self._taken.popleft()
            self._queue.settle(waiting)
        return batch
