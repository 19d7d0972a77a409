"""Says what is wrong with the fields of a model in the words of the gateway: src/issue-messages.ts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from .errors import Issue

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_KINDS = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "date_type": "a date such as 2026-01-31",
    "date_parsing": "a date such as 2026-01-31",
    "date_from_datetime_parsing": "a date such as 2026-01-31",
    "date_from_datetime_inexact": "a date such as 2026-01-31",
    "datetime_type": "a date and time such as 2026-01-31T12:00:00Z",
    "datetime_parsing": "a date and time such as 2026-01-31T12:00:00Z",
    "datetime_from_date_parsing": "a date and time such as 2026-01-31T12:00:00Z",
    "timezone_aware": "a date and time with a time zone",
}
"""What a value must be, by the type of pydantic's error."""

_MESSAGES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "is required",
    "extra_forbidden": lambda _: "is not a known key",
    "none_required": lambda _: "must be absent",
    "literal_error": lambda about: f"must be {about['expected']}",
    "greater_than_equal": lambda about: f"must be at least {_short(about['ge'])}",
    "greater_than": lambda about: f"must be more than {_short(about['gt'])}",
    "less_than_equal": lambda about: f"must be at most {_short(about['le'])}",
    "less_than": lambda about: f"must be less than {_short(about['lt'])}",
    "multiple_of": lambda about: f"must be a multiple of {_short(about['multiple_of'])}",
    "string_pattern_mismatch": lambda about: f"must match {about['pattern']}",
    "string_too_short": lambda about: f"must have at least {_counted(about['min_length'], 'character')}",
    "string_too_long": lambda about: f"must have at most {_counted(about['max_length'], 'character')}",
    "too_short": lambda about: f"must have at least {_counted(about['min_length'], 'element')}",
    "too_long": lambda about: f"must have at most {_counted(about['max_length'], 'element')}",
}


def issues_of(error: ValidationError, *path: str) -> list[Issue]:
    """The faults that pydantic found in the value at `path`."""
    found = error.errors(include_url=False, include_input=False)
    return [Issue(".".join(map(str, (*path, *fault["loc"]))), _message_of(fault)) for fault in found]


def _message_of(fault: ErrorDetails) -> str:
    kind = _KINDS.get(fault["type"])
    if kind is not None:
        return f"must be {kind}"
    say = _MESSAGES.get(fault["type"])
    return fault["msg"] if say is None else say(fault.get("ctx", {}))


def _short(number: float) -> str:
    return str(int(number) if number == int(number) else number)


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
