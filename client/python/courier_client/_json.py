"""Writes what the client sends as JSON, and refuses what would arrive as another value. No I/O happens here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import date, datetime, timezone
from decimal import Decimal
from math import isfinite
from numbers import Integral, Real
from typing import Any

from pydantic import BaseModel

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


def is_well_formed(text: str) -> bool:
    """Whether the text can be written in UTF-8: it has no half of a surrogate pair."""
    return text.isascii() or _SURROGATE.search(text) is None


def require_well_formed(argument: str, text: str) -> None:
    """Raises InvalidInputError, naming the argument, for text that an address cannot carry."""
    if not is_well_formed(text):
        raise invalid_argument(f"{argument} {_ILL_FORMED}", path=argument)


def json_of(value: Any, *path: str) -> bytes:
    """The value at `path` as JSON in UTF-8. Raises InvalidInputError with the path of its first fault."""
    fault = _fault_of(value, 0) or _written(value)
    if isinstance(fault, bytes):
        return fault
    where, problem = ".".join(str(key) for key in (*path, *fault[0])), fault[1]
    raise InvalidInputError("BAD_REQUEST", f"{where}: {problem}", issues=[Issue(where, problem)])


def _plain(value: Any) -> Any:
    """Converts what `json` cannot write: models, decimals, dates, and numbers such as those of NumPy."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    message = f"must be JSON, not {type(value).__name__}"
    raise TypeError(message)


def _instant(timestamp: datetime) -> str:
    if timestamp.utcoffset() is None:
        message = "has no time zone: use datetime.now(timezone.utc)"
        raise ValueError(message)
    utc = timestamp.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    return utc.replace("+00:00", "Z")


Fault = tuple[tuple[str | int, ...], str]
"""Where in a value something is wrong, and what."""


def _written(value: Any) -> bytes | Fault:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_plain)
        return text.encode()
    except (TypeError, ValueError) as error:
        # Keys of other types than text are left to `json`.
        return (), f"cannot be written as JSON: {error}"


def _fault_of(value: Any, depth: int) -> Fault | None:
    """The first fault of a value that is `depth` levels below the root."""
    if isinstance(value, (str, int, float)) or value is None:
        problem = _problem_with(value)
        return None if problem is None else ((), problem)
    if isinstance(value, (dict, list, tuple)):
        if depth >= MAX_DEPTH:
            return (), _TOO_DEEP
        children = value.items() if isinstance(value, dict) else enumerate(value)
        return _fault_within(children, depth + 1)
    given = value.model_dump(by_alias=True, exclude_none=True) if isinstance(value, BaseModel) else None
    try:
        written = _plain(value)
    except (TypeError, ValueError) as error:
        return _fault_of(given, depth) or ((), str(error))
    return _fault_of(written, depth) or _fault_of_change(given, written)


def _problem_with(value: str | float | None) -> str | None:
    if value is None or isinstance(value, str):
        return None if value is None or is_well_formed(value) else _ILL_FORMED
    if -MAX_EXACT <= value <= MAX_EXACT:
        return None
    return _INEXACT if isinstance(value, int) or isfinite(value) else _NOT_FINITE


def _fault_within(children: Iterable[tuple[Any, Any]], depth: int) -> Fault | None:
    for key, child in children:
        if isinstance(key, str) and not is_well_formed(key):
            return _fault_of_key(key)
        fault = _fault_of(child, depth)
        if fault is not None:
            return (key, *fault[0]), fault[1]
    return None


def _fault_of_key(key: str) -> Fault:
    # Not every terminal and log can print half of a pair.
    return (_SURROGATE.sub(_REPLACEMENT, key),), _ILL_FORMED_KEY


def _fault_of_change(given: Any, written: Any) -> Fault | None:
    """The first change that pydantic made silently as it wrote a model: to a number, or to half of a pair in a key."""
    if isinstance(given, float) and written is None:
        return None if isfinite(given) else ((), _NOT_FINITE)
    if isinstance(given, dict) and isinstance(written, dict):
        halved = next((key for key in given if isinstance(key, str) and not is_well_formed(key)), None)
        if halved is not None:
            return _fault_of_key(halved)
        children: Iterable[tuple[Any, Any]] = (
            (key, (field, written[key])) for key, field in given.items() if key in written
        )
    elif isinstance(given, (list, tuple)) and isinstance(written, list):
        children = enumerate(zip(given, written, strict=False))
    else:
        return None
    for key, forms in children:
        fault = _fault_of_change(*forms)
        if fault is not None:
            return (key, *fault[0]), fault[1]
    return None
