"""Sends what a background publisher was given, in one event loop.

What waits is sent in batches, one after another. Each event of a batch has an outcome of its own: it is stored, it is
refused and told, or it is tried again, before those that came after it. The events of a channel whose limit is reached
are put aside for as long as the gateway asks, and the others are sent at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anyio

from ._buffer import Bounds, each
from ._outcomes import never_stored
from ._outgoing import Outgoing
from ._queue import Queue, Waiting
from .envelope import Receipt
from .errors import ClosedError, CourierError
from .retry import asked_delay, log_repetition

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
        self._last: CourierError | None = None
        """What the last attempt failed with; None once an event is stored."""
        self._failures = 0
        """Attempts in a row that failed for all events."""
        self.settled = asyncio.Event()
        """Whether no event waits."""
        self.settled.set()

    def submit(self, event: Outgoing) -> None:
        """Makes the event wait, and drops events for which there is no room."""
        self.settled.clear()
        # The callback for a dropped event may itself submit one.
        for lost in self._queue.add(event):
            self._queue.settle(lost)
            self._outcomes.drop(lost.event, self._bounds.full(may_be_stored=lost.doubt.may_be_stored))

    def leave(self) -> None:
        """Gives up the places of all events: they never will be stored."""
        for waiting in (*self._taken, *self._queue):
            self._queue.settle(waiting)

    def lose_all(self) -> None:
        """Drops all events, in whichever thread finds that the event loop has ended."""
        for waiting in (*each(self._taken), *self._queue.empty()):
            self._outcomes.drop(waiting.event, never_stored(may_be_stored=waiting.doubt.may_be_stored, last=self._last))

    async def work(self) -> None:
        while True:
            if not self._taken:
                self._taken.extend(self._queue.take())
            if self._taken:
                await self._publish([*self._taken])
                continue
            if not self._queue:
                self.settled.set()
            await self._queue.changed()

    async def _publish(self, batch: Sequence[Waiting]) -> None:
        """Attempts once to publish the events that were taken. Those to be tried again stay taken, or are put aside."""
        answers = await self._attempt(batch)
        stored = sum(isinstance(answer, Receipt) for answer in answers)
        self._outcomes.publish(stored)
        if stored > 0:
            self._last = None
        again: list[tuple[Waiting, CourierError]] = []
        for waiting, answer in zip(batch, answers, strict=True):
            if isinstance(answer, CourierError):
                waiting.doubt.judge(answer)
                answer.idempotency_key = waiting.event.key
                if answer.retryable:
                    self._last = answer
                    again.append((waiting, answer))
                    continue
            self._queue.settle(waiting)
            if isinstance(answer, ClosedError):
                answer.hint = "Close the publisher before its client."
                self._outcomes.drop(waiting.event, answer)
            elif isinstance(answer, Exception):
                self._outcomes.refuse(waiting.event.as_sent(), answer)
        limits = {waiting.channel: error for waiting, error in again if error.channel == waiting.channel}
        self._put_aside([waiting for waiting, _ in again if waiting.channel in limits], limits)
        self._taken = deque(waiting for waiting, _ in again if waiting.channel not in limits)
        if len(self._taken) < len(batch):
            self._failures = 0
        if self._taken:
            await self._wait([error for waiting, error in again if waiting.channel not in limits])

    async def _attempt(self, batch: Sequence[Waiting]) -> Sequence[Receipt | Exception]:
        """What became of each event: its receipt, or the error of its own."""
        try:
            events = [waiting.event for waiting in batch]
            return await self._client.publish_submitted(events, [waiting.doubt for waiting in batch])
        except CourierError as error:
            return [error.another() for _ in batch]
        except Exception as error:  # noqa: BLE001 (an error of some events must not end the worker)
            return [error] * len(batch)

    def _put_aside(self, events: Sequence[Waiting], limits: Mapping[str, CourierError]) -> None:
        """Lets the channels rest whose limits are reached. The others go on at once."""
        self._queue.put_aside(events, {name: self._retry.delay_after(error, 0) for name, error in limits.items()})
        for channel, error in limits.items():
            logger.info("the events of %s wait: %s", channel, error)

    async def _wait(self, errors: Sequence[CourierError]) -> None:
        """Waits as long as the gateway asks for, before what is left is tried again."""
        error = max(errors, key=asked_delay)
        delay = self._retry.delay_after(error, self._failures)
        self._failures += 1
        log_repetition(self._failures, "%d events wait: %s", self._outcomes.pending, error)
        await anyio.sleep(delay)
