"""Writes what the client sends as JSON, and refuses what would arrive as another value. No I/O happens here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from numbers import Integral, Real
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from ._instant import instant_text
from .errors import InvalidInputError, Issue, invalid_argument

MAX_EXACT = 2**53 - 1
"""The greatest number that every receiver reads as it was sent. Larger ones are rounded to doubles."""
MAX_DEPTH = 64
"""Levels of nesting in the data of an event, at most."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"

# The gateway refuses the same in the same words: src/contract/json.ts.
_NOT_FINITE = "must be a finite number"
_INEXACT = f"must be from {-MAX_EXACT} to {MAX_EXACT}: send a larger number as a string"
_ILL_FORMED = "must be well-formed Unicode, without half of a surrogate pair"
_ILL_FORMED_KEY = "is a key with half of a surrogate pair"
_TOO_DEEP = f"must not be nested deeper than {MAX_DEPTH} levels"

# Only values of Python have these faults.
_ROUNDED = "must be a number that a double holds exactly: send it as a string"
_REPEATED_KEY = "is the form in JSON of two keys"


def is_well_formed(text: str) -> bool:
    """Whether the text can be written in UTF-8: it has no half of a surrogate pair."""
    return text.isascii() or _SURROGATE.search(text) is None


def require_well_formed(argument: str, text: str) -> None:
    """Raises InvalidInputError, naming the argument, for text that an address cannot carry."""
    if not is_well_formed(text):
        raise invalid_argument(f"{argument} {_ILL_FORMED}", path=argument)


def json_of(value: Any, *path: str) -> bytes:
    """The value at `path` as JSON in UTF-8. Raises InvalidInputError with the path of its first fault."""
    try:
        plain = _plain(value, 0)
    except _FaultError as fault:
        where = ".".join(str(key) for key in (*path, *reversed(fault.path_back)))
        # The gateway would answer BAD_REQUEST, had JSON a form in which to ask it.
        code = "INVALID_ARGUMENT" if fault.problem == _NOT_FINITE else "BAD_REQUEST"
        raise InvalidInputError(
            code, f"{where}: {fault.problem}", issues=[Issue(where, fault.problem)]
        ) from fault.__cause__
    return _write(plain).encode()


_write = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode


class _FaultError(Exception):
    """What is wrong with a part of a value. The keys of `path_back` lead from the part up to the root."""

    def __init__(self, problem: str, *path_back: str | int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path_back = [*path_back]


def _plain(value: Any, depth: int) -> Any:
    """The value, `depth` levels below the root, as `json` can write it."""
    if value is None or isinstance(value, (str, int, float)):
        problem = _problem_with(value)
        if problem is not None:
            raise _FaultError(problem)
        return value
    if isinstance(value, BaseModel):
        return _plain(_written(value, depth), depth)
    if not isinstance(value, (dict, list, tuple)):
        return _plain(_converted(value), depth)
    if depth >= MAX_DEPTH:
        raise _FaultError(_TOO_DEEP)
    if isinstance(value, dict):
        return _plain_dict(value, depth + 1)
    return [_at(index, _plain, child, depth + 1) for index, child in enumerate(value)]


def _plain_dict(given: dict[Any, Any], depth: int) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, child in given.items():
        name = _name_of(key)
        if name in plain:
            raise _FaultError(_REPEATED_KEY, name)
        plain[name] = _at(name, _plain, child, depth)
    return plain


def _at(key: str | int, step: Callable[..., Any], *given: Any) -> Any:
    """What a step makes of the part with this key. A fault in the part tells the key."""
    try:
        return step(*given)
    except _FaultError as fault:
        fault.path_back.append(key)
        raise


def _problem_with(value: str | float | None) -> str | None:
    if value is None or isinstance(value, str):
        return None if value is None or is_well_formed(value) else _ILL_FORMED
    if -MAX_EXACT <= value <= MAX_EXACT:
        return None
    return _INEXACT if isinstance(value, int) or isfinite(value) else _NOT_FINITE


def _name_of(key: Any) -> str:
    """The text of a key, as `json` writes it. The same text may be that of several keys: 1 and "1"."""
    if isinstance(key, str):
        # Not every terminal and log can print half of a pair.
        if not is_well_formed(key):
            raise _FaultError(_ILL_FORMED_KEY, _SURROGATE.sub(_REPLACEMENT, key))
        return str.__str__(key)
    try:
        if key is None or isinstance(key, (int, float)):
            return json.dumps(key, allow_nan=False)
    except ValueError:
        pass  # It is no finite number, or longer than Python writes.
    raise _FaultError(f"has a key of type {type(key).__name__} that JSON has no form for: keys must be strings")


def _converted(value: Any) -> Any:
    """What the client sends for what `json` cannot write: decimals, dates, and numbers such as those of NumPy."""
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise _FaultError(_NOT_FINITE)
        return format(value, "f")
    if isinstance(value, datetime):
        try:
            return instant_text(value)
        except ValueError as error:
            raise _FaultError(str(error)) from error
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return _double(value)
    raise _FaultError(f"must be JSON, not {type(value).__name__}")


def _double(value: Real) -> float:
    try:
        number = float(value)
    except OverflowError:
        raise _FaultError(_INEXACT) from None
    if abs(number) <= MAX_EXACT and number != value:
        raise _FaultError(_ROUNDED)
    return number


def _written(model: BaseModel, depth: int) -> Any:
    """What a model writes of itself, with what pydantic would write in another way than the client as it was given."""
    given = model.model_dump(by_alias=True, exclude_none=True)
    try:
        written = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    except (TypeError, ValueError) as error:
        # The part that cannot be written may have a fault of its own, which says more.
        _plain(given, depth)
        raise _FaultError(str(error)) from error
    return _as_given(given, written)


def _as_given(given: Any, written: Any) -> Any:
    """`written`, with what pydantic changes silently, or writes by itself in another way than the client, as `given`.

    A part that the model writes in a way of its own stays so.
    """
    if isinstance(given, float) and written is None:
        return given
    if isinstance(given, (datetime, Decimal)):
        return given if written == to_jsonable_python(given) else written
    if isinstance(given, dict) and isinstance(written, dict):
        return _dict_as_given(given, written)
    if isinstance(given, (list, tuple)) and isinstance(written, list) and len(given) == len(written):
        pairs = enumerate(zip(given, written, strict=True))
        return [_at(index, _as_given, *forms) for index, forms in pairs]
    return written


def _dict_as_given(given: dict[Any, Any], written: dict[str, Any]) -> dict[Any, Any]:
    if len(given) == len(written):
        return {
            # Pydantic puts other characters in place of half of a pair.
            key if isinstance(key, str) and not is_well_formed(key) else name: _at(name, _as_given, child, form)
            for (key, child), (name, form) in zip(given.items(), written.items(), strict=True)
        }
    names: set[str] = set()
    for key in given:
        (name,) = to_jsonable_python({key: None})
        if name in names:
            raise _FaultError(_REPEATED_KEY, name)
        names.add(name)
    return {name: _at(name, _as_given, given[name], form) if name in given else form for name, form in written.items()}
