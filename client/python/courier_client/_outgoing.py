"""What is sent, without the wire: headers, lists of names, the body of a publish."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timezone
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from pydantic import BaseModel

from ._version import __version__
from .envelope import EventDraft
from .errors import InvalidInputError, Issue, TooLargeError
from .events import CONTRACT_HASH

MAX_DATA_BYTES = 100 * 1024
"""Bytes of an event's data as JSON in UTF-8, at most."""

CLIENT_NAME = f"courier-client-python/{__version__}"
_SERVICE_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)


def identity_headers(service_name: str) -> dict[str, str]:
    """Who calls: for the gateway's figures and logs, never for rights."""
    if _SERVICE_NAME.fullmatch(service_name) is None:
        message = f"service_name {service_name!r} is not 1 to 64 of A-Z a-z 0-9 _ . -"
        raise InvalidInputError("INVALID_ARGUMENT", message)
    return {
        "User-Agent": f"{CLIENT_NAME} ({service_name})",
        "X-Courier-Client": CLIENT_NAME,
        "X-Courier-Contract": CONTRACT_HASH,
    }


def names(what: str, given: str | Sequence[str]) -> list[str]:
    """A name or several, as a list that is not empty. Raises InvalidInputError, naming `what`."""
    result = [given] if isinstance(given, str) else list(given)
    if result and all(result):
        return result
    message = f"{what} must name at least one, and no empty one"
    raise InvalidInputError("INVALID_ARGUMENT", message, issues=[Issue(what, message)])


def optional_names(what: str, given: str | Sequence[str] | None) -> list[str] | None:
    return None if given is None else names(what, given)


def snapshot(draft: EventDraft[Any]) -> EventDraft[Any]:
    """The same event, whatever becomes of the objects that its data is made of."""
    return replace(draft, data=json.loads(_data_json(draft.data)))


def publish_body(draft: EventDraft[Any], idempotency_key: str) -> bytes:
    """The body of `POST /publish`. Raises InvalidInputError, TooLargeError."""
    data = _data_json(draft.data)
    if len(data) > MAX_DATA_BYTES:
        message = f"data must be at most {MAX_DATA_BYTES} bytes as JSON, and is {len(data)}"
        raise TooLargeError("PAYLOAD_TOO_LARGE", message, issues=[Issue("data", message)])
    metadata = {
        "timestamp": None if draft.timestamp is None else _instant(draft.timestamp),
        "correlation_id": draft.correlation_id,
        "user_id": draft.user_id,
        "traceparent": draft.traceparent,
    }
    head = {
        "type": draft.type,
        "channel": draft.channel,
        "metadata": {name: value for name, value in metadata.items() if value is not None},
        "idempotency_key": idempotency_key,
    }
    return _json(head, "the event")[:-1] + b',"data":' + data + b"}"


def _instant(timestamp: datetime) -> str:
    if timestamp.utcoffset() is None:
        message = "timestamp: has no time zone: use datetime.now(timezone.utc)"
        raise InvalidInputError("INVALID_ARGUMENT", message, issues=[Issue("metadata.timestamp", message)])
    utc = timestamp.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    return utc.replace("+00:00", "Z")


def _data_json(data: Any) -> bytes:
    if isinstance(data, BaseModel):
        data = _plain(data)
    if not isinstance(data, Mapping):
        message = f"data must be a mapping or a model, not {type(data).__name__}"
        raise InvalidInputError("INVALID_ARGUMENT", message, issues=[Issue("data", message)])
    return _json(dict(data), "data")


def _json(value: Any, what: str) -> bytes:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_plain)
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        message = f"{what} cannot be written as JSON: {error}"
        raise InvalidInputError("INVALID_ARGUMENT", message, issues=[Issue(what, message)]) from error


def _plain(value: Any) -> Any:
    """JSON for what has an obvious form in it: models, decimals, dates, NumPy's numbers."""
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
    message = f"{type(value).__name__} is none of its types"
    raise TypeError(message)
