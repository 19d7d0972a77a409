"""The envelope that every event has on the wire, and the form in which events are handed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ValidationError

from ._model import Model
from .errors import InvalidInputError, Issue
from .models import CourierGapData, EventMetadata

Data = Mapping[str, Any] | BaseModel
"""An event's data, when it is handed in."""

DataT = TypeVar("DataT")
DataT_co = TypeVar("DataT_co", covariant=True)
ModelT = TypeVar("ModelT", bound=Model)


class Event(Model, Generic[DataT]):
    """An event as subscribers get it. Its subclasses are in `courier_client.events`."""

    id: str
    """Its position in the log; opaque. Hand it back to resume after it."""
    channel: str
    type: str
    metadata: EventMetadata
    data: DataT


class GenericEvent(Event[dict[str, Any]]):
    """An event of a type that this version does not know, or not in this form."""


class Receipt(Model):
    """The answer to a publish: the event is stored."""

    id: str
    """The event's position."""
    channel: str
    type: str
    timestamp: AwareDatetime
    duplicate: bool
    """True when the idempotency key was known: the receipt is of the event that was stored first."""


@dataclass(frozen=True)
class HistoryPage(Generic[DataT_co]):
    """One page of what was published before, in the order that was asked for."""

    events: tuple[DataT_co, ...]
    next: str
    """The `after` of the next page, also at the end of the log; its `before`, newest first."""
    has_more: bool
    """Whether there may be more beyond `next` now."""
    gap: CourierGapData | None
    """Set when the page does not start at the position that was asked for."""


@dataclass(frozen=True)
class EventDraft(Generic[DataT_co]):
    """An event to be published. `courier_client.events` makes them."""

    channel: str
    type: str
    data: DataT_co
    correlation_id: str | None = None
    """Ties together what belongs to one piece of work, across services."""
    user_id: str | None = None
    """The user on whose behalf it happened."""
    timestamp: datetime | None = None
    """When it happened; the time of publishing when absent."""
    traceparent: str | None = None
    """W3C trace context of the work that the event is part of."""
    idempotency_key: str | None = None
    """A publish that is repeated with the same key within 24 h is stored once."""


def checked(model: type[ModelT], fields: Mapping[str, Any]) -> ModelT:
    """Makes a model of the fields that are given (None is not). Raises InvalidInputError."""
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return model.model_validate(given, by_name=True, by_alias=False)
    except ValidationError as error:
        issues = [
            Issue(".".join(map(str, ("data", *found["loc"]))), found["msg"])
            for found in error.errors(include_url=False, include_input=False)
        ]
        message = "; ".join(f"{issue.path}: {issue.message}" for issue in issues)
        raise InvalidInputError("INVALID_ARGUMENT", message, issues=issues) from error


def channel_of(channel: str | None, form: str, identifier: str | None) -> str:
    """The channel that was named, or else the one of `form` (`backtest.{backtest_id}`) with this id."""
    if channel is not None:
        return channel
    prefix, field = form.rstrip("}").split("{")
    if identifier is not None:
        return f"{prefix}{identifier}"
    message = f"there is no channel: give `{field}` or `channel`"
    raise InvalidInputError("INVALID_ARGUMENT", message, issues=[Issue("channel", message)])
