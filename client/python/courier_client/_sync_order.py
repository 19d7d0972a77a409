"""The order of what threads publish on each channel: as in `ChannelOrder`, a batch waits for what was before it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ._group import PATIENCE_SECONDS, WAITS_AS

if TYPE_CHECKING:
    from ._gateway import Call
    from .retry import Attempts


@dataclass(eq=False)
class _Publishing:
    """A publish, single or a batch, that is not settled."""

    channels: tuple[str, ...]
    attempts: Attempts
    thread: int = field(default_factory=threading.get_ident)
    settled: threading.Event = field(default_factory=threading.Event)

    @property
    def patience(self) -> float:
        """Seconds for which it may still hold back others."""
        return PATIENCE_SECONDS - self.attempts.unanswered_seconds


class SyncChannelOrder:
    """The publishes of one client that are on their way, in one process."""

    def __init__(self) -> None:
        # A signal handler may publish while its thread holds it.
        self._lock = threading.RLock()
        self._publishing: dict[_Publishing, None] = {}

    @contextmanager
    def publishing(self, call: Call[Any], attempts: Attempts) -> Iterator[None]:
        """Surrounds a publish, from its turn on. Raises UnreachableError when its time is over before."""
        this = _Publishing(call.channels, attempts)
        try:
            with self._lock:
                # Single publishes find their order where they go together.
                earlier = [*self._before(this)] if call.event is None else []
                self._publishing[this] = None
            if earlier:
                attempts.wait_as(WAITS_AS)
                _wait_for(earlier, attempts)
                attempts.wait_as(None)
            yield
        finally:
            with self._lock:
                self._publishing.pop(this, None)
            this.settled.set()

    def _before(self, this: _Publishing) -> Iterator[_Publishing]:
        channels = {*this.channels}
        # A thread does not wait for itself: what it interrupts in a signal handler could not go on.
        return (one for one in self._publishing if one.thread != this.thread and not channels.isdisjoint(one.channels))


def _wait_for(earlier: Iterable[_Publishing], attempts: Attempts) -> None:
    for one in earlier:
        while (patience := one.patience) > 0 and not one.settled.wait(min(patience, attempts.remaining)):
            if attempts.remaining == 0:
                raise attempts.out_of_time()
