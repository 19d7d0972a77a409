"""Checks of what callers select: channels and event types, as lists of names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ._arguments import shown
from ._json import require_well_formed
from .contract import Channel, ChannelSelection
from .errors import invalid_argument

Channels = ChannelSelection


@dataclass(frozen=True)
class Filter:
    """What a subscription selects."""

    channels: Sequence[str]
    """Channels and patterns; at least one."""
    types: Sequence[str] | None
    """At least one event type; None selects every type."""
    from_: Literal["now", "earliest"]
    """Where a subscription without a position starts."""


def filter_of(
    channels: Channels,
    types: str | Sequence[str] | None,
    from_: Literal["now", "earliest"],
) -> Filter:
    """Raises InvalidInputError, whose `issues` name `channels` or `types`."""
    return Filter(channel_names(channels), type_names(types), from_)


def channel_names(channels: Channels) -> list[str]:
    return _names("channels", str(channels) if isinstance(channels, Channel) else channels)


def type_names(types: str | Sequence[str] | None) -> list[str] | None:
    return None if types is None else _names("types", types)


def _names(argument: str, given: str | Sequence[str | Channel]) -> list[str]:
    if not isinstance(given, Iterable):
        raise invalid_argument(f"{argument} must be a name or a list of names, not {shown(given)}", path=argument)
    all_given = [given] if isinstance(given, str) else list(given)
    if not all_given or not all(all_given):
        raise invalid_argument(f"{argument} must name at least one, and no empty one", path=argument)
    names = [str(name) for name in all_given]
    for name in names:
        require_well_formed(argument, name)
    return names
