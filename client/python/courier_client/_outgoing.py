"""What the client sends: the headers that name it, and the body of a publish. No I/O happens here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from ._json import json_of
from ._version import __version__
from .envelope import EventDraft
from .errors import Issue, TooLargeError, invalid_argument

MAX_DATA_BYTES = 100 * 1024
"""The largest data of an event, in bytes of JSON in UTF-8."""

CLIENT_NAME = f"courier-client-python/{__version__}"
_SERVICE_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)


def identity_headers(service_name: str, contract_hash: str) -> dict[str, str]:
    """Headers that name the caller in the gateway's metrics and logs. The token alone decides what it may do.

    Raises InvalidInputError, naming `service_name`.
    """
    if _SERVICE_NAME.fullmatch(service_name) is None:
        raise invalid_argument(f"service_name {service_name!r} is not 1 to 64 of A-Z a-z 0-9 _ . -")
    return {
        "User-Agent": f"{CLIENT_NAME} ({service_name})",
        "X-Courier-Client": CLIENT_NAME,
        "X-Courier-Contract": contract_hash,
    }


def snapshot(draft: EventDraft[Any]) -> EventDraft[Any]:
    """A copy of the event whose data does not change with the caller's objects. Raises InvalidInputError."""
    return replace(draft, data=json.loads(_data_json(draft.data)))


def publish_body(draft: EventDraft[Any], idempotency_key: str) -> bytes:
    """The body of `POST /publish`. Raises InvalidInputError or TooLargeError."""
    data = _data_json(draft.data)
    if len(data) > MAX_DATA_BYTES:
        message = f"data must be at most {MAX_DATA_BYTES} bytes as JSON, and is {len(data)}"
        raise TooLargeError("PAYLOAD_TOO_LARGE", message, issues=[Issue("data", message)])
    metadata = {
        "timestamp": draft.timestamp,
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
    return json_of(head)[:-1] + b',"data":' + data + b"}"


def _data_json(data: Any) -> bytes:
    if isinstance(data, BaseModel):
        return json_of(data, "data")
    if not isinstance(data, Mapping):
        raise invalid_argument(f"data must be a mapping or a model, not {type(data).__name__}", path="data")
    return json_of(dict(data), "data")
