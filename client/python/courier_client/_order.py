"""One order for each channel, of what a client publishes and what is submitted to its background publishers.

An event waits only for those that were there before it: a publish for the events that were submitted to its channel, a
submitted event for the publishes on its channel. So no two wait for each other. Publishes do not wait for one another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

Place = asyncio.Future[None]
"""Done once the event is stored, or never will be."""


class ChannelOrder:
    """The events of one client that are on their way, in one event loop."""

    def __init__(self) -> None:
        self._publishing: dict[str, set[Place]] = {}
        self._submitted: dict[str, Place] = {}

    @contextmanager
    def publishing(self, channels: Iterable[str]) -> Iterator[list[Place]]:
        """Surrounds a publish. Gives the places that it must wait for."""
        place: Place = asyncio.get_running_loop().create_future()
        earlier = [self._submitted[channel] for channel in channels if channel in self._submitted]
        for channel in channels:
            self._publishing.setdefault(channel, set()).add(place)
        try:
            yield earlier
        finally:
            place.set_result(None)
            for channel in channels:
                self._publishing[channel].discard(place)
                if not self._publishing[channel]:
                    del self._publishing[channel]

    def submit(self, channel: str, place: Place) -> tuple[Place, ...]:
        """Takes the place of a submitted event. Returns the places that the event must wait for."""
        self._submitted[channel] = place
        return tuple(self._publishing.get(channel, ()))

    def settle(self, channel: str, place: Place) -> None:
        """Gives up the place: the event is stored, or never will be."""
        if not place.done():
            place.set_result(None)
        if self._submitted.get(channel) is place:
            del self._submitted[channel]
