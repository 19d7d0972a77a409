"""The forms of the state: the things that there are, each as its last event left it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal

from pydantic import AfterValidator, Field
from typing_extensions import TypeVar

from ._model import Model
from .errors import invalid_argument

StateT = TypeVar("StateT")


class _Named(Model, frozen=True):
    """What every item says of its thing."""

    id: str
    """The position of its last change."""
    channel: str
    entity: str
    key: str
    """Names the thing among those of its channel and entity: the fields of its key, joined by `/`. See `entity_key`."""


class StateItem(_Named, Generic[StateT], frozen=True):
    """A thing with its state. A contract's module has a subclass for each entity."""

    open: bool
    """Whether it goes on, as the contract says it."""
    state: StateT


class GenericState(dict[str, Any]):
    """The state of a GenericItem, as the gateway sent it."""

    def __getattr__(self, name: str) -> Any:
        message = (
            f"this state is a dict without the attribute {name!r}: the contract of this client does not know its form. "
            "Check for GenericItem first, or update the contract"
        )
        raise AttributeError(message)


class GenericItem(StateItem[Annotated[dict[str, Any], AfterValidator(GenericState)]], frozen=True):
    """A thing whose state does not match this contract's model: its state is a dict, as the gateway sent it."""

    if TYPE_CHECKING:
        # Type checkers narrow a union by `entity` only where every class declares other values: this is none that
        # occurs. Its state is no model; where nobody asks for the class, that is not to be in the way.
        entity: Literal["(an entity or form of another contract)"]
        state: Any

    @property
    def entity_name(self) -> str:
        """The item's `entity`, as a `str` for type checkers, to which `entity` is none of the contract."""
        return self.entity


class RemovedItem(_Named, frozen=True):
    """A thing that is gone, or is no longer among what was asked for."""

    open: Literal[False] = False
    state: None = None


ItemT = TypeVar("ItemT", bound=StateItem[Any], default=StateItem[Any])
ItemT_co = TypeVar("ItemT_co", bound=StateItem[Any], default=StateItem[Any], covariant=True)


@dataclass(frozen=True)
class StateSnapshot(Generic[ItemT_co]):
    """The present state: what the events up to a position have made of the things that were asked for."""

    items: tuple[ItemT_co | GenericItem, ...]
    position: str
    """It is the state after all events up to here: `subscribe` with this `last_event_id` gives the later ones."""

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[ItemT_co | GenericItem]:
        return iter(self.items)


class ReadyData(Model, frozen=True):
    """Data of `state.ready`: everything that was asked for has been given."""

    position: str
    items: Annotated[int, Field(ge=0)]


class ResetData(Model, frozen=True):
    """Data of `state.reset`: what was given before is of no use, and everything is given again."""

    # A later gateway may give other reasons, and this version must read them.
    reason: str
    requested: str


class StateReady(Model, frozen=True):
    type: Literal["state.ready"]
    data: ReadyData


class StateReset(Model, frozen=True):
    type: Literal["state.reset"]
    data: ResetData


_ESCAPED = re.compile("[%/\x00-\x1f\x7f]")


def entity_key(*fields: str) -> str:
    """The key of a thing, of the fields that name it, in the order of the contract: `entity_key("s1", "BRK/B")`.

    Raises InvalidInputError without a field, or for one that is no str.
    """
    if not fields or not all(isinstance(field, str) for field in fields):
        raise invalid_argument("a key has one field or more, each a str", path="key")
    return "/".join(_ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", field) for field in fields)
