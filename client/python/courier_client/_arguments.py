"""Checks of what callers give: each refusal names the option."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .errors import invalid_argument

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def public(function: FunctionT) -> FunctionT:
    """Names a function as callers do, without its underscore: in what Python says of wrong arguments."""
    name = function.__name__.removeprefix("_")
    function.__qualname__ = function.__qualname__.removesuffix(function.__name__) + name
    function.__name__ = name
    return function


def check_keywords(call: str, given: Mapping[str, object], options: Any) -> None:
    """Raises TypeError, as Python does of a function without `**`, naming what the caller called.

    `options` is the TypedDict of the keywords.
    """
    for name in given:
        if name not in options.__optional_keys__:
            raise TypeError(f"{call}() got an unexpected keyword argument {name!r}")


def shown(given: object) -> str:
    """How a refusal names what was given: by its type, unless it is a number. It may hold a password or a token."""
    return repr(given) if given is None or isinstance(given, int | float) else f"a {type(given).__name__}"


def seconds(option: str, given: object) -> float:
    """A time limit: 0 or more. None and more than timers can hold are no limit, which is infinity here.

    Raises InvalidInputError, naming the option.
    """
    if given is None:
        return math.inf
    if isinstance(given, bool) or not isinstance(given, int | float) or not given >= 0:
        raise invalid_argument(f"{option} must be seconds, 0 or more, or None, not {shown(given)}", path=option)
    return float(given) if given <= threading.TIMEOUT_MAX else math.inf


def duration(option: str, given: object) -> float:
    """As `seconds`, for what must end."""
    limit = seconds(option, given)
    if limit == math.inf:
        raise invalid_argument(f"{option} must be seconds, 0 or more, not {shown(given)}", path=option)
    return limit


def count(option: str, given: object) -> int:
    """Raises InvalidInputError, naming the option, unless it is an integer of 1 or more."""
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise invalid_argument(f"{option} must be 1 or more, not {shown(given)}", path=option)
    return given


def of_type(option: str, given: object, kinds: type | tuple[type, ...], what: str) -> None:
    """Raises InvalidInputError, naming the option, unless it is of one of the types. `what` names them."""
    if not isinstance(given, kinds):
        raise invalid_argument(f"{option} must be {what}, not {shown(given)}", path=option)


def function(option: str, given: object) -> None:
    """Raises InvalidInputError, naming the option, unless it is None or can be called."""
    if given is not None and not callable(given):
        raise invalid_argument(f"{option} must be a function, not {shown(given)}", path=option)


def check_on_gap(on_gap: object) -> None:
    """Raises InvalidInputError, naming `on_gap`."""
    if not callable(on_gap) and on_gap not in ("continue", "fail"):
        raise invalid_argument(f"on_gap must be 'continue', 'fail' or a function, not {on_gap!r}", path="on_gap")
