"""The events that wait to be published in the background, within their bounds.

An event that cannot be published yet holds back those of its channel only: the next batch passes over them. So the
events of a channel keep their order, and no channel waits for another.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ._order import ChannelOrder, Place
from ._outgoing import MAX_BATCH_BYTES, Outgoing

BATCH_FRAME_BYTES = len(b'{"json":[]}')

T = TypeVar("T")


@dataclass(eq=False)
class Waiting:
    """An event that is not settled: neither stored, nor dropped, nor refused."""

    event: Outgoing
    place: Place
    earlier: Sequence[Place]
    """Publishes on its channel that began before it was submitted."""
    may_be_stored: bool = False
    """Whether an attempt may have stored it: a later one that is refused does not say."""

    @property
    def channel(self) -> str:
        return self.event.draft.channel

    @property
    def is_next(self) -> bool:
        """Whether it waits for nothing. What it waits for may itself wait for the event before it."""
        return all(place.done() for place in self.earlier)

    @property
    def size(self) -> int:
        # A comma separates the events of a batch.
        return len(self.event.body) + 1


class Queue:
    """The events in the order in which they were submitted. For one event loop."""

    def __init__(self, order: ChannelOrder, max_events: int, max_bytes: int) -> None:
        self._order = order
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = 0
        """The events that wait, as JSON."""
        self._waiting: deque[Waiting] = deque()
        self._resting: dict[str, float] = {}
        """Channels whose limit is reached, and when each may be tried again."""
        self._arrival: asyncio.Future[None] | None = None
        """Done once another event has come."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._waiting)

    def overflow(self, event: Outgoing) -> str | None:
        """What is full, so that the event does not fit; None where it does."""
        if len(self._waiting) >= self._max_events:
            return f"{self._max_events} events wait"
        if self._bytes + len(event.body) > self._max_bytes:
            return f"{self._bytes} of {self._max_bytes} bytes wait, and an event of {len(event.body)} bytes came"
        return None

    def is_too_large(self, event: Outgoing) -> bool:
        """Whether the event fits not even where no other waits."""
        return len(event.body) > self._max_bytes

    def append(self, event: Outgoing) -> None:
        self._bytes += len(event.body)
        place: Place = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(event, place, self._order.submit(event.draft.channel, place)))
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def make_room_for(self, event: Outgoing) -> list[Waiting]:
        """Removes the oldest events, until the event fits. Returns them."""
        oldest = []
        while self.overflow(event) is not None:
            oldest.append(self._pop())
        return oldest

    def _pop(self) -> Waiting:
        waiting = self._waiting.popleft()
        self._bytes -= len(waiting.event.body)
        return waiting

    def settle(self, waiting: Waiting) -> None:
        """Tells that an event that was removed is stored, or never will be."""
        self._order.settle(waiting.channel, waiting.place)

    def take(self, most: int) -> list[Waiting]:
        """Removes the next events that wait for nothing, and that fit into one call. Returns them."""
        now = time.monotonic()
        self._resting = {channel: until for channel, until in self._resting.items() if until > now}
        held_back = {*self._resting}
        taken: list[Waiting] = []
        passed_over: list[Waiting] = []
        size = BATCH_FRAME_BYTES
        while self._waiting and len(taken) < most:
            waiting = self._waiting[0]
            if waiting.channel in held_back or not waiting.is_next:
                held_back.add(waiting.channel)
                passed_over.append(self._waiting.popleft())
                continue
            size += waiting.size
            if taken and size > MAX_BATCH_BYTES:
                break
            taken.append(self._pop())
        self._waiting.extendleft(reversed(passed_over))
        return taken

    def put_aside(self, events: Collection[Waiting], channel: str, seconds: float) -> None:
        """Puts events of a channel back, before those that wait. The channel rests for so long."""
        self._waiting.extendleft(reversed([*events]))
        self._bytes += sum(len(waiting.event.body) for waiting in events)
        self._resting[channel] = time.monotonic() + seconds

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


def each(things: deque[T]) -> Iterator[T]:
    """Takes all. When several threads do so at the same time, each thing is for one of them."""
    while True:
        try:
            thing = things.popleft()
        except IndexError:
            return
        yield thing
