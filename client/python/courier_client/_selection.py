"""Checks of what callers ask of the state: which things of which channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType

from ._arguments import of_type, shown
from ._filter import Channels, channel_names
from ._json import require_well_formed
from .errors import invalid_argument
from .options import Scalar


@dataclass(frozen=True)
class Selection:
    """Which things of an entity are asked for."""

    channels: Sequence[str]
    """Channels and patterns; at least one."""
    entity: str
    query: Mapping[str, str]
    """The rest, as it stands in an address."""


def selection_of(
    channels: Channels,
    entity: str,
    *,
    keys: str | Sequence[str] | None = None,
    open: bool | None = None,  # noqa: A002 (it is called so on the wire)
    where: Mapping[str, Scalar | Sequence[Scalar]] | None = None,
) -> Selection:
    """Takes `SelectionOptions`. Raises InvalidInputError, whose `issues` name the argument."""
    names = channel_names(channels)
    of_type("entity", entity, str, "the name of an entity")
    of_type("open", open, (bool, NoneType), "true or false")
    of_type("where", where, (Mapping, NoneType), "values by field")
    query: dict[str, str] = {}
    if keys is not None:
        query["key"] = _names("keys", keys)
    if open is not None:
        query["open"] = _text(open)
    for path, values in (where or {}).items():
        if not str(path).startswith("state."):
            raise invalid_argument("where must name fields of the state, such as state.symbol", path="where")
        require_well_formed("where", path)
        query[path] = ",".join(_texts(f"where.{path}", values, (str, int, float)))
    return Selection(names, _names("entity", entity), query)


def argument_of(parameter: str) -> str:
    """Names the argument that stands in an address as `parameter`."""
    if parameter.startswith("state."):
        return "where" if parameter == "state.*" else f"where.{parameter}"
    name, dot, rest = parameter.partition(".")
    return _ARGUMENTS.get(name, name) + dot + rest


_ARGUMENTS = {"state": "entity", "key": "keys", "limit": "page_size"}
"""Those that an address has by other names."""


def _names(argument: str, given: str | Sequence[str]) -> str:
    names = _texts(argument, given, (str,))
    if not all(names):
        raise invalid_argument(f"{argument} must name at least one, and no empty one", path=argument)
    return ",".join(names)


def _texts(argument: str, given: object, kinds: tuple[type, ...]) -> list[str]:
    values = [given] if isinstance(given, kinds) or not isinstance(given, Sequence) else list(given)
    if not values:
        raise invalid_argument(f"{argument} must name at least one, and no empty one", path=argument)
    for value in values:
        if not isinstance(value, kinds):
            what = "a str" if kinds == (str,) else "a str, a number or a bool"
            raise invalid_argument(f"{argument} must be {what}, or several, not {shown(value)}", path=argument)
    texts = [_text(value) for value in values]
    for text in texts:
        require_well_formed(argument, text)
        if "," in text:
            raise invalid_argument(f"{argument} must have no comma, which separates them in an address", path=argument)
    return texts


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
