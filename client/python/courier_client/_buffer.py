"""What waits, in its order and within its bounds."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from .errors import QueueFullError

logger = logging.getLogger("courier_client")

T = TypeVar("T")


@dataclass(frozen=True)
class Bounds:
    """How much may wait, and which to drop when more would."""

    max_events: int
    max_bytes: int
    """As JSON."""
    drops_oldest: bool
    """Else the new one is dropped."""

    def full(self, *, may_be_stored: bool = False) -> QueueFullError:
        message = f"more than {self.max_events} events, or {self.max_bytes} bytes of them, would wait"
        return QueueFullError("QUEUE_FULL", message, may_be_stored=may_be_stored)


class Buffer(Generic[T]):
    """Things in the order in which they were added. What was put back may be more than the bounds allow."""

    def __init__(self, bounds: Bounds, size_of: Callable[[T], int]) -> None:
        self._bounds = bounds
        self._size_of = size_of
        self._things: deque[T] = deque()
        self._bytes = 0
        self._overflowing = False
        """Whether it dropped something since it was empty."""

    def __len__(self) -> int:
        return len(self._things)

    def __iter__(self) -> Iterator[T]:
        return iter(self._things)

    def add(self, thing: T) -> list[T]:
        """Returns what is dropped for it, or itself."""
        if not self._things:
            self._overflowing = False
        size = self._size_of(thing)
        # Where more waits than may, what is added takes the place of others, and no more are dropped.
        most_events = max(self._bounds.max_events, len(self._things))
        most_bytes = max(self._bounds.max_bytes, self._bytes)
        dropped: list[T] = []
        if size > self._bounds.max_bytes:
            dropped.append(thing)
        else:
            self._things.append(thing)
            self._bytes += size
        while len(self._things) > most_events or self._bytes > most_bytes:
            dropped.append(self.popleft() if self._bounds.drops_oldest else self._pop())
        if dropped and not self._overflowing:
            logger.warning("%s: dropping some", self._bounds.full().message)
            self._overflowing = True
        return dropped

    def put_back(self, things: Iterable[T]) -> None:
        """Puts things before the others."""
        again = [*things]
        self._things.extendleft(reversed(again))
        self._bytes += sum(map(self._size_of, again))

    def popleft(self) -> T:
        """Raises IndexError when it is empty."""
        thing = self._things.popleft()
        self._bytes -= self._size_of(thing)
        return thing

    def _pop(self) -> T:
        thing = self._things.pop()
        self._bytes -= self._size_of(thing)
        return thing


def each(things: deque[T] | Buffer[T]) -> Iterator[T]:
    """Takes all. When several threads do so at the same time, each thing is for one of them."""
    while True:
        try:
            thing = things.popleft()
        except IndexError:
            return
        yield thing
