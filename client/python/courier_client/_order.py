"""One order for each channel, of what a client publishes and what is submitted to its background publishers.

An event waits only for those that were there before it: a publish for the events that were submitted to its channel, a
submitted event for the publishes on its channel, a batch for both. So no two wait for each other. Single publishes wait
for no batch, and not for one another here, but for one that is tried again: it holds back the later ones of its
channel.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ._group import PATIENCE_SECONDS

if TYPE_CHECKING:
    from ._gateway import Call
    from .retry import Attempts

T = TypeVar("T")

Place = asyncio.Future[None]
"""Done once the event is stored, or never will be."""


@dataclass(eq=False)
class Publishing:
    """A publish, single or a batch, that is not settled."""

    attempts: Attempts
    place: Place

    async def answered(self) -> None:
        """Waits until it is settled, or on its way for so long that it holds nobody back."""
        while not self.place.done() and (patience := PATIENCE_SECONDS - self.attempts.unanswered_seconds) > 0:
            await asyncio.wait([self.place], timeout=patience)


class Earlier(NamedTuple):
    """What a publish must wait for."""

    submitted: set[Place]
    publishing: Sequence[Publishing]


class ChannelOrder:
    """The events of one client that are on their way, in one event loop."""

    def __init__(self) -> None:
        self._publishing: dict[str, set[Publishing]] = {}
        # All of a channel, not its last one only: several publishers may have one, and the last may be settled first.
        self._submitted: dict[str, set[Place]] = {}
        self.sources: set[Callable[[], None]] = set()
        """Functions that submit what other threads have given to background publishers, and nobody has taken yet."""

    @contextmanager
    def publishing(self, call: Call[Any], attempts: Attempts) -> Iterator[Earlier]:
        """Surrounds a publish. Gives what it must wait for."""
        for submit_given in [*self.sources]:
            submit_given()
        channels = call.channels
        this = Publishing(attempts, asyncio.get_running_loop().create_future())
        submitted = {other for channel in channels for other in self._submitted.get(channel, ())}
        # Single publishes find their order where they go together.
        before = self._publishing if call.event is None else {}
        earlier = Earlier(submitted, [*{other for channel in channels for other in before.get(channel, ())}])
        for channel in channels:
            _add(self._publishing, channel, this)
        try:
            yield earlier
        finally:
            this.place.set_result(None)
            for channel in channels:
                _remove(self._publishing, channel, this)

    def submit(self, channel: str, place: Place) -> tuple[Place, ...]:
        """Takes the place of a submitted event. Returns the places that the event must wait for."""
        _add(self._submitted, channel, place)
        return tuple(publishing.place for publishing in self._publishing.get(channel, ()))

    def settle(self, channel: str, place: Place) -> None:
        """Gives up the place: the event is stored, or never will be."""
        place.set_result(None)
        _remove(self._submitted, channel, place)


class Repeated:
    """The publishes that have failed and are tried again, by channel and in the order in which they were made."""

    def __init__(self) -> None:
        self._numbers: dict[str, list[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def add(self, channel: str, number: int) -> None:
        numbers = self._numbers.setdefault(channel, [])
        if not self.has(channel, number):
            insort(numbers, number)

    def remove(self, channel: str, number: int) -> None:
        numbers = self._numbers[channel]
        numbers.remove(number)
        if not numbers:
            del self._numbers[channel]

    def has(self, channel: str, number: int) -> bool:
        numbers = self._numbers.get(channel, [])
        at = bisect_left(numbers, number)
        return at < len(numbers) and numbers[at] == number

    def before(self, channel: str, number: int) -> int:
        """How many were made before this one."""
        return bisect_left(self._numbers.get(channel, []), number)


def _add(of_channels: dict[str, set[T]], channel: str, one: T) -> None:
    of_channels.setdefault(channel, set()).add(one)


def _remove(of_channels: dict[str, set[T]], channel: str, one: T) -> None:
    of_channels[channel].discard(one)
    if not of_channels[channel]:
        del of_channels[channel]
