"""What the module of a contract is made of, which `courier contract export --format python` writes.

The module of Courier's own contract is `courier_client.events`. A client takes the module of any other as `contract`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol

from pydantic import Field
from typing_extensions import NotRequired, Self, TypedDict, TypeVar, Unpack

from ._arguments import check_keywords
from ._model import NULLABLE, ExactDecimal, Instant, Model, PositiveDecimal, TotalDecimal, matching, multiple_of, one_of
from .envelope import (
    CourierGapData,
    CourierGapEvent,
    CourierLiveData,
    CourierLiveEvent,
    Event,
    EventDraft,
    EventMetadata,
    GenericEvent,
    Receipt,
    checked,
)
from .errors import Issue, invalid_argument
from .items import GenericItem, RemovedItem, StateItem
from .options import EventOptions, ReadOptions, WatchOptions

__all__ = [
    "NULLABLE",
    "Channel",
    "ChannelSelection",
    "Contract",
    "ContractModule",
    "CourierGapData",
    "CourierGapEvent",
    "CourierLiveData",
    "CourierLiveEvent",
    "Event",
    "EventDraft",
    "EventMetadata",
    "EventOptions",
    "ExactDecimal",
    "Field",
    "GenericEvent",
    "GenericItem",
    "Instant",
    "Model",
    "NotRequired",
    "PositiveDecimal",
    "ReadOptions",
    "Receipt",
    "RemovedItem",
    "ResultT_co",
    "StateItem",
    "TotalDecimal",
    "TypedDict",
    "Unpack",
    "WatchOptions",
    "channel_of",
    "checked",
    "event_options",
    "matching",
    "multiple_of",
    "one_of",
]

EventT_co = TypeVar("EventT_co", covariant=True)
TypeT_co = TypeVar("TypeT_co", covariant=True)
PublishT_co = TypeVar("PublishT_co", covariant=True)
PublishNowT_co = TypeVar("PublishNowT_co", covariant=True)
SubmitT_co = TypeVar("SubmitT_co", covariant=True)
ResultT_co = TypeVar("ResultT_co", covariant=True)
# The module of a contract without entities does not say them.
WatchT_co = TypeVar("WatchT_co", covariant=True, default=Any)
ReadT_co = TypeVar("ReadT_co", covariant=True, default=Any)
WatchNowT_co = TypeVar("WatchNowT_co", covariant=True, default=Any)
ReadNowT_co = TypeVar("ReadNowT_co", covariant=True, default=Any)

MAX_NAMED_TYPES = 20
"""Types that the message of an error lists."""


class Channel:
    """The name of one channel. The module of a contract has a subclass for each family of channels.

    A family's subclass lets type checkers see which events the channel carries. `str(channel)` is the name.
    """

    FORM: ClassVar[str]
    """The form of the family's names for people, such as `backtest.{id}`."""
    NAME: ClassVar[str]
    """A pattern of the family's names."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        """Raises InvalidInputError when the family has no channel of that name."""
        if not self.has(name):
            raise invalid_argument(f"channel {name!r} is malformed: {_expected([type(self)])}", path="channel")
        self._name = name

    @classmethod
    def of(cls, identifier: object) -> Self:
        """The family's channel with that id. Raises InvalidInputError when it has none."""
        if identifier is None:
            raise invalid_argument(f"there is no id for {cls.FORM}", path="channel")
        return cls(cls.FORM.replace("{id}", str(identifier)))

    @classmethod
    def has(cls, name: str) -> bool:
        """Whether the family has a channel of that name."""
        return re.fullmatch(cls.NAME, name, re.ASCII) is not None

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Channel) and other._name == self._name

    def __hash__(self) -> int:
        return hash(self._name)


ChannelSelection = str | Channel | Sequence[str | Channel]
"""A channel or a pattern, or several."""


def _expected(families: Sequence[type[Channel]]) -> str:
    forms = ", ".join(family.FORM for family in families)
    return f"it must be {'one of ' if len(families) > 1 else ''}{forms}; an id is 1 to 64 of A-Z a-z 0-9 _ -"


@dataclass(frozen=True)
class Contract(
    Generic[
        EventT_co, TypeT_co, PublishT_co, PublishNowT_co, SubmitT_co, WatchT_co, ReadT_co, WatchNowT_co, ReadNowT_co
    ]
):
    """A contract as a client uses it.

    The parameters are types only: the union of the events, the names of their types, and how `publish` of both
    clients, `submit` of a background publisher, and `state` and `read_state` of both clients are called.
    """

    name: str
    hash: str
    """A gateway sends the hash of its own contract."""
    events: Mapping[str, type[Event[Any]]]
    """The class of each event type."""
    families: Sequence[type[Channel]]
    states: Mapping[str, type[StateItem[Any]]] = field(default_factory=dict)
    """The class of each entity's items."""

    def check_channel(self, name: str) -> None:
        """Raises InvalidInputError, whose `issues` name `channel`, when the contract has no channel of that name."""
        if any(family.has(name) for family in self.families):
            return
        raise invalid_argument(
            f"channel {name!r} is no channel of this contract: {_expected(self.families)}", path="channel"
        )

    def issues_of_types(self, names: Sequence[str]) -> list[Issue]:
        """One for each name that is no type of this contract. A gateway with a newer contract may know it."""
        known = list(self.events)
        more = len(known) - MAX_NAMED_TYPES
        expected = ", ".join(known[:MAX_NAMED_TYPES]) + (f" or {more} more" if more > 0 else "")
        return [
            Issue(f"types.{index}", f"type {name!r} is no type of this contract: it must be one of {expected}")
            for index, name in enumerate(names)
            if name not in self.events
        ]


class ContractModule(
    Protocol[
        EventT_co, TypeT_co, PublishT_co, PublishNowT_co, SubmitT_co, WatchT_co, ReadT_co, WatchNowT_co, ReadNowT_co
    ]
):
    """The module of a contract."""

    @property
    def CONTRACT(  # noqa: N802
        self,
    ) -> Contract[
        EventT_co, TypeT_co, PublishT_co, PublishNowT_co, SubmitT_co, WatchT_co, ReadT_co, WatchNowT_co, ReadNowT_co
    ]: ...


def event_options(builder: str, options: EventOptions) -> EventOptions:
    """The options that a builder was given. Raises TypeError, naming the builder, for one that there is not."""
    check_keywords(builder, options, EventOptions)
    return options


def channel_of(channel: str | Channel | None, family: type[Channel], identifier: object, field: str) -> str:
    """Returns the name of `channel`, or else of the channel of `family` with `identifier` in it.

    Raises InvalidInputError when the family has no such channel, and, naming `field`, when both are None.
    """
    if channel is not None:
        return str(channel)
    if identifier is not None or "{id}" not in family.FORM:
        return str(family.of(identifier))
    raise invalid_argument(f"there is no channel: give `{field}` or `channel`", path="channel")
