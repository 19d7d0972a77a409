"""The events that wait to be published in the background, within their bounds.

An event that cannot be published yet holds back those of its channel only: the next batch passes over them. So the
events of a channel keep their order, and no channel waits for another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ._buffer import Bounds, Buffer, each
from ._order import ChannelOrder, Place
from ._outgoing import BATCH_FRAME_BYTES, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, Outgoing
from .retry import Doubt


@dataclass(eq=False)
class Waiting:
    """An event that is not settled: neither stored, nor dropped, nor refused."""

    event: Outgoing
    place: Place
    earlier: Sequence[Place]
    """Publishes on its channel that began before it was submitted."""
    doubt: Doubt = field(default_factory=Doubt)

    @property
    def channel(self) -> str:
        return self.event.draft.channel

    @property
    def is_next(self) -> bool:
        """Whether it waits for nothing. What it waits for may itself wait for the event before it."""
        return all(place.done() for place in self.earlier)


class Queue:
    """The events in the order in which they were submitted. For one event loop."""

    def __init__(self, order: ChannelOrder, bounds: Bounds) -> None:
        self._order = order
        self._waiting: Buffer[Waiting] = Buffer(bounds, lambda waiting: len(waiting.event.body))
        self._resting: dict[str, float] = {}
        """Channels whose limit is reached, and when each may be tried again."""
        self._arrival: asyncio.Future[None] | None = None
        """Done once another event has come."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._waiting)

    def add(self, event: Outgoing) -> list[Waiting]:
        """Returns the events that are dropped for it, or itself. They are to be settled."""
        place: Place = asyncio.get_running_loop().create_future()
        waiting = Waiting(event, place, self._order.submit(event.draft.channel, place))
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
        return self._waiting.add(waiting)

    def settle(self, waiting: Waiting) -> None:
        """Tells that an event that was removed is stored, or never will be."""
        self._order.settle(waiting.channel, waiting.place)

    def take(self) -> list[Waiting]:
        """Removes the next events that wait for nothing, and that fit into one call. Returns them."""
        now = time.monotonic()
        self._resting = {channel: until for channel, until in self._resting.items() if until > now}
        held_back = {*self._resting}
        taken: list[Waiting] = []
        passed_over: list[Waiting] = []
        size = BATCH_FRAME_BYTES
        while self._waiting and len(taken) < MAX_BATCH_EVENTS:
            waiting = next(iter(self._waiting))
            if waiting.channel in held_back or not waiting.is_next:
                held_back.add(waiting.channel)
                passed_over.append(self._waiting.popleft())
                continue
            size += waiting.event.size
            if taken and size > MAX_BATCH_BYTES:
                break
            taken.append(self._waiting.popleft())
        self._waiting.put_back(passed_over)
        return taken

    def put_aside(self, events: Collection[Waiting], rests: Mapping[str, float]) -> None:
        """Puts events back, before those that wait, and lets their channels rest for so many seconds each."""
        self._waiting.put_back(events)
        now = time.monotonic()
        self._resting.update({channel: now + seconds for channel, seconds in rests.items()})

    async def changed(self) -> None:
        """Waits until another event comes, or one that waits may be taken."""
        self._arrival = asyncio.get_running_loop().create_future()
        earlier = {place for waiting in self._waiting for place in waiting.earlier if not place.done()}
        rest = min(self._resting.values(), default=None)
        timeout = None if rest is None else max(0.0, rest - time.monotonic())
        await asyncio.wait({self._arrival, *earlier}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    def empty(self) -> Iterator[Waiting]:
        """Removes all."""
        return each(self._waiting)
