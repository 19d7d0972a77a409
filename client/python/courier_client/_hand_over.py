"""Hands things over from any thread to one event loop, which may be busy, and may end at any moment."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ._buffer import Bounds, Buffer, each
from ._outcomes import never_stored
from .errors import CourierError

T = TypeVar("T")


class HandOver(Generic[T]):
    """Takes each thing in the event loop, in the order in which they were given.

    It loses a thing, in the thread that gives, when the loop has ended, and when the loop is busy and more than the
    bounds allow would wait for it: taken or lost, one of both.
    """

    def __init__(
        self,
        bounds: Bounds,
        size_of: Callable[[T], int],
        take: Callable[[T], None],
        lose: Callable[[T, CourierError], None],
    ) -> None:
        self._bounds = bounds
        self._take = take
        self._lose = lose
        self._given: Buffer[T] = Buffer(bounds, size_of)
        self._is_woken = False
        """Whether the loop was asked to take what was given, and has not begun."""
        # For all of this. A signal handler may give while its thread holds it.
        self._lock = threading.RLock()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.ended = True
        """Whether nobody takes anything: the loop has ended, or there is none yet."""

    def begin(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Returns whether this is the loop from now on: False when another one was first."""
        with self._lock:
            if self.loop is not None:
                return False
            self.loop, self.ended = loop, False
            return True

    def end(self) -> None:
        """Loses what was given and not yet taken, and what will be given. Any thread may call it, also again."""
        with self._lock:
            self.ended = True
        # Nothing is added any more.
        for thing in each(self._given):
            self._lose(thing, never_stored())

    def give(self, thing: T) -> bool:
        """Returns False when the loop was closed without ending its tasks, so that `end` is to be called."""
        with self._lock:
            loop = None if self.ended else self.loop
            here = loop is not None and running_loop() is loop
            elsewhere = loop is not None and not here
            dropped = self._given.add(thing) if elsewhere else []
            wakes = elsewhere and not self._is_woken
            self._is_woken = self._is_woken or elsewhere
        if loop is None:
            self._lose(thing, never_stored())
            return True
        if here:
            self.take_all()
            self._take(thing)
            return True
        for other in dropped:
            self._lose(other, self._bounds.full())
        try:
            if wakes:
                loop.call_soon_threadsafe(self.take_all)
        except RuntimeError:
            return False
        return not loop.is_closed()

    def take_all(self) -> None:
        """Takes, in the event loop, what was given before."""
        with self._lock:
            self._is_woken = False
            given = len(self._given)
        # One by one: what takes a thing may itself give one, which comes behind them.
        for _ in range(given):
            with self._lock:
                if not self._given:
                    return
                thing = self._given.popleft()
            self._take(thing)


def running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
