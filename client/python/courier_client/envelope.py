"""The forms of events: as subscribers receive them, and as callers publish them, in every contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from ._issues import issues_of
from ._model import Instant, Model, matching
from .errors import InvalidInputError

Data = Mapping[str, Any] | BaseModel
"""The data of an event to publish: a mapping, or a model such as those of `courier_client.models`."""

DataT = TypeVar("DataT")
DataT_co = TypeVar("DataT_co", covariant=True)
ModelT = TypeVar("ModelT", bound=Model)


_Token = Annotated[str, Field(max_length=128, pattern="^[\\x21-\\x7e]+$")]
_TRACEPARENT = (
    r"^(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-[\x20-\x7e]*)?(?!\n)$"
)
_Traceparent = Annotated[str, Field(max_length=128), matching(_TRACEPARENT, _TRACEPARENT)]


class EventMetadata(Model, frozen=True):
    """The metadata of every event."""

    timestamp: Instant
    """When it happened: ISO 8601 in UTC."""
    source: str
    """Who published it: the `sub` of the publisher's token."""
    correlation_id: _Token | None = None
    """Ties together what belongs to one piece of work, across services. Every event has one; notices have none."""
    causation_id: str | None = None
    """The `id` of the event that led to this one."""
    user_id: _Token | None = None
    """The user on whose behalf it happened."""
    traceparent: _Traceparent | None = None
    """W3C trace context of the work that the event is part of."""


class Event(Model, Generic[DataT], frozen=True):
    """An event as subscribers receive it. A contract's module has a subclass for each type."""

    id: str
    """The event's position in the log, `<epoch>-<number>`; opaque. A subscription may resume after it."""
    channel: str
    type: str
    metadata: EventMetadata
    data: DataT


class GenericData(dict[str, Any]):
    """The data of a GenericEvent, as the gateway sent it."""

    def __getattr__(self, name: str) -> Any:
        message = (
            f"the data of this event is a dict without the attribute {name!r}: the contract of this client does not "
            "know the type of the event, or the form of its data. Check for GenericEvent first, or update the contract"
        )
        raise AttributeError(message)


class GenericEvent(Event[Annotated[dict[str, Any], AfterValidator(GenericData)]], frozen=True):
    """An event whose type this contract does not know, or whose data does not match this contract's model."""

    if TYPE_CHECKING:
        # Type checkers narrow a union by `type` only where every class declares other values. This is no value
        # that occurs: it keeps GenericEvent apart from the types of every contract.
        type: Literal["(a type or form of another contract)"]

    @property
    def type_name(self) -> str:
        """The event's `type`, as a `str` for type checkers, to which `type` is no type of the contract."""
        return self.type


class CourierGapData(Model, frozen=True):
    """Data of `courier.gap`: events are missing."""

    # A later gateway may give other reasons, and this version must read them.
    reason: str
    """`expired`: older than retention. `epoch`: the position is of another log, or of a lost state of this one.
    `ahead`: the position is past the end of this log. `unreadable`: the one event between the two positions has a form
    that cannot be brought to the present one."""
    requested: str
    """The position that was asked for."""
    resumed_from: str
    """Events after this position follow."""


class CourierLiveData(Model, frozen=True):
    """Data of `courier.live`: every stored event has been given."""

    position: str
    """Everything up to here has been given. From here on, events arrive as they happen."""
    replayed: Annotated[int, Field(ge=0, le=9007199254740991)]
    """How many events were given from the log; 0 when the notice comes again."""


class CourierGapEvent(Event[CourierGapData], frozen=True):
    type: Literal["courier.gap"]


class CourierLiveEvent(Event[CourierLiveData], frozen=True):
    type: Literal["courier.live"]


class Receipt(Model, frozen=True):
    """The gateway's answer to a publish: the event is stored."""

    id: str
    """The event's position."""
    channel: str
    type: str
    timestamp: Instant
    duplicate: bool
    """Whether an event with the same idempotency key was stored before. The receipt is that event's."""


@dataclass(frozen=True)
class HistoryPage(Generic[DataT_co]):
    """One page of the stored events, in the order that was asked for."""

    events: tuple[DataT_co, ...]
    next: str
    """The position to read the next page with: its `after`, or its `before` with the newest first.

    It is set at the end of the log too.
    """
    has_more: bool
    """Whether the log may contain more matching events beyond `next` now."""
    gap: CourierGapData | None
    """Set when events are missing between the position that was asked for and the page."""


@dataclass(frozen=True)
class TraceStep(Generic[DataT_co]):
    """One event of a piece of work. What led to it is its `metadata.causation_id`."""

    event: DataT_co
    stored_at: datetime | None
    """When it was stored, by the clock of the log; None where that was not noted."""
    after_cause_ms: float | None
    """How long after its cause it was stored, in ms; None where it has none, or that is not known any more."""


@dataclass(frozen=True)
class Trace(Generic[DataT_co]):
    """A piece of work: the events that belong to it, what those have caused, and what led to each of them."""

    correlation_id: str
    steps: tuple[TraceStep[DataT_co], ...]
    """In the order of the log."""
    hidden: int
    """How many more events there are, which the caller may not read, or which have no present form."""
    is_partial: bool
    """Whether there is more than the gateway reads of one piece of work: 10,000 events, or 8 MiB."""


@dataclass(frozen=True)
class EventDraft(Generic[DataT_co]):
    """An event to publish. The functions of `courier_client.events` make drafts.

    `courier_client.options.EventOptions` describes the optional fields.
    """

    channel: str
    type: str
    data: DataT_co
    correlation_id: str | None = None
    user_id: str | None = None
    timestamp: datetime | None = None
    traceparent: str | None = None
    idempotency_key: str | None = None
    causation_id: str | None = None


def checked(model: type[ModelT], fields: Mapping[str, Any]) -> ModelT:
    """Makes a model. None means that an optional field is absent.

    Raises InvalidInputError, whose `issues` name the fields.
    """
    known = model.model_fields
    given = {name: value for name, value in fields.items() if value is not None or known[name].is_required()}
    try:
        return model.model_validate(given, by_name=True, by_alias=False)
    except ValidationError as error:
        issues = issues_of(error, "data")
        message = "; ".join(f"{issue.path}: {issue.message}" for issue in issues)
        raise InvalidInputError("INVALID_ARGUMENT", message, issues=issues) from error
