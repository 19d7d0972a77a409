"""What a subscription to the state holds: the last item of each thing, and how messages change it. No I/O happens here.

A *snapshot* is on its way from the beginning of a connection that resumes after no position, or from `state.reset`, to
`state.ready`. Meanwhile what was held before stays. At its end what did not come again is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Generic

from ._states_in import AnyItem
from .errors import invalid_argument
from .items import GenericItem, ItemT, RemovedItem

Name = tuple[str, str]
"""The channel and the key of a thing."""


class Held(Generic[ItemT]):
    """The last item of each thing of one entity."""

    def __init__(self) -> None:
        self._items: dict[Name, ItemT | GenericItem] = {}
        self._channels: dict[str, list[str]] = {}
        """By key: the channels that have it."""
        self._came: set[Name] | None = None
        """What came in the snapshot that is on its way."""

    @property
    def items(self) -> Mapping[Name, ItemT | GenericItem]:
        return MappingProxyType(self._items)

    def get(self, key: str, channel: str | None) -> ItemT | GenericItem | None:
        """Raises InvalidInputError, naming `channel`, when there is none and several channels have the key."""
        if channel is not None:
            return self._items.get((channel, key))
        channels = self._channels.get(key, [])
        if len(channels) > 1:
            message = f"several channels have {key!r}: name one of {', '.join(sorted(channels))}"
            raise invalid_argument(message, path="channel")
        return self._items[channels[0], key] if channels else None

    def begin(self) -> None:
        """A snapshot is on its way."""
        self._came = set()

    def apply(self, item: AnyItem) -> bool:
        """Returns whether it changes what is held: it does not when it says what is known, or that nothing is gone."""
        name = (item.channel, item.key)
        if isinstance(item, RemovedItem):
            return self._drop(name)
        if self._came is not None:
            self._came.add(name)
        before: Any = self._items.get(name)
        if before == item:
            return False
        if before is None:
            self._channels.setdefault(item.key, []).append(item.channel)
        # The subscription asks for one entity.
        held: Any = item
        self._items[name] = held
        return True

    def complete(self, position: str) -> list[RemovedItem]:
        """Ends the snapshot, if one is on its way: drops and returns what did not come again."""
        came, self._came = self._came, None
        gone = [] if came is None else [(name, item.entity) for name, item in self._items.items() if name not in came]
        for name, _ in gone:
            self._drop(name)
        return [RemovedItem(id=position, channel=channel, entity=entity, key=key) for (channel, key), entity in gone]

    def _drop(self, name: Name) -> bool:
        channel, key = name
        if self._items.pop(name, None) is None:
            return False
        channels = self._channels[key]
        channels.remove(channel)
        if not channels:
            del self._channels[key]
        return True
