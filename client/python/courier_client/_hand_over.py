"""Hands things over from any thread to one event loop, which may end at any moment."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from ._queue import each

T = TypeVar("T")


class HandOver(Generic[T]):
    """Takes each thing in the event loop or, when that has ended, loses it in the thread that gives it: one of both."""

    def __init__(self, take: Callable[[T], None], lose: Callable[[T], None]) -> None:
        self._take = take
        self._lose = lose
        self._given: deque[T] = deque()
        # Between `ended` and what was given until then. A signal handler may give while its thread holds it.
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
        for thing in each(self._given):
            self._lose(thing)

    def give(self, thing: T) -> bool:
        """Returns False when the loop was closed without ending its tasks, so that `end` is to be called."""
        with self._lock:
            lost = self.ended
            here = not lost and running_loop() is self.loop
            if not lost and not here:
                self._given.append(thing)
        if lost:
            self._lose(thing)
        elif here:
            self._take(thing)
        elif self.loop is not None:
            try:
                self.loop.call_soon_threadsafe(self.take_all)
            except RuntimeError:
                return False
        return True

    def take_all(self) -> None:
        """Takes, in the event loop, what was given before."""
        for thing in each(self._given):
            self._take(thing)


def running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
