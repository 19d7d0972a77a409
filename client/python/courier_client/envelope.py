"""The forms of events: as subscribers receive them, and as callers publish them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ValidationError

from ._model import Model
from .errors import InvalidInputError, Issue, invalid_argument
from .models import CourierGapData, EventMetadata

Data = Mapping[str, Any] | BaseModel
"""The data of an event to publish: a mapping, or a model such as those of `courier_client.models`."""

DataT = TypeVar("DataT")
DataT_co = TypeVar("DataT_co", covariant=True)
ModelT = TypeVar("ModelT", bound=Model)


class Event(Model, Generic[DataT]):
    """An event as subscribers receive it. `courier_client.events` has a subclass for each type."""

    id: str
    """The event's position in the log, `<epoch>-<number>`; opaque. A subscription may resume after it."""
    channel: str
    type: str
    metadata: EventMetadata
    data: DataT


class GenericEvent(Event[dict[str, Any]]):
    """An event whose type this version does not know, or whose data does not match this version's model."""


class Receipt(Model):
    """The gateway's answer to a publish: the event is stored."""

    id: str
    """The event's position."""
    channel: str
    type: str
    timestamp: AwareDatetime
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


def checked(model: type[ModelT], fields: Mapping[str, Any]) -> ModelT:
    """Makes a model of the fields that are not None. Raises InvalidInputError, whose `issues` name the fields."""
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
    """Returns `channel`, or else the channel of `form` (`backtest.{backtest_id}`) with `identifier` in it.

    Raises InvalidInputError when both are None.
    """
    if channel is not None:
        return channel
    prefix, field = form.rstrip("}").split("{")
    if identifier is not None:
        return f"{prefix}{identifier}"
    raise invalid_argument(f"there is no channel: give `{field}` or `channel`", path="channel")
