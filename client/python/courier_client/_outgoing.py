"""What the client sends: the headers that name it, and the body of a publish. No I/O happens here."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from ._json import json_of
from ._version import __version__
from .envelope import EventDraft
from .errors import Issue, TooLargeError, invalid_argument

MAX_DATA_BYTES = 100 * 1024
"""The largest data of an event, in bytes of JSON in UTF-8."""

MAX_BATCH_EVENTS = 500
"""Events of one batch, at most: the gateway takes no more."""
MAX_BATCH_BYTES = 960 * 1024
"""The events of one batch, in bytes of JSON in UTF-8: the gateway takes 1 MiB."""
BATCH_FRAME_BYTES = len(b'{"json":[]}')

CLIENT_NAME = f"courier-client-python/{__version__}"
_KEY = re.compile(r"[!-~]{1,128}")
_SERVICE_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)


def identity_headers(service_name: str | None, contract_hash: str) -> dict[str, str]:
    """Headers that name the caller in the gateway's metrics and logs. The token alone decides what it may do.

    Raises InvalidInputError, naming `service_name`.
    """
    named = isinstance(service_name, str) and _SERVICE_NAME.fullmatch(service_name) is not None
    if service_name is not None and not named:
        raise invalid_argument(
            # The second argument: it may be the token.
            "service_name must be 1 to 64 of A-Z a-z 0-9 _ . -",
            path="service_name",
        )
    return {
        "User-Agent": CLIENT_NAME if service_name is None else f"{CLIENT_NAME} ({service_name})",
        "X-Courier-Client": CLIENT_NAME,
        "X-Courier-Contract": contract_hash,
    }


@dataclass(frozen=True)
class Outgoing:
    """An event in the form in which it is sent. Later changes of the caller's objects have no effect on it."""

    draft: EventDraft[Any]
    """With the idempotency key. Its data is the caller's."""
    body: bytes

    @property
    def key(self) -> str:
        return str(self.draft.idempotency_key)

    @property
    def size(self) -> int:
        """Bytes that it takes in a batch, with the comma that separates it from the next."""
        return len(self.body) + 1

    def as_sent(self) -> EventDraft[Any]:
        """The draft with the data that is sent."""
        return replace(self.draft, data=json.loads(self.body)["data"])


def new_key() -> str:
    """An idempotency key that nobody has used. It begins with the time, in ms: the gateway's log keeps keys in their
    order, and what comes together goes to one place there. Random keys cost the log twice as much.
    """
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def outgoing(draft: EventDraft[Any]) -> Outgoing:
    """Gives the event a key when it has none. Raises InvalidInputError or TooLargeError."""
    if draft.idempotency_key is None:
        keyed = replace(draft, idempotency_key=new_key())
    elif _KEY.fullmatch(str(draft.idempotency_key)):
        keyed = draft
    else:
        raise invalid_argument(
            # As the gateway says it: src/contract/draft.ts.
            "idempotency_key must be 1 to 128 printable ASCII characters without spaces",
            path="idempotency_key",
        )
    return Outgoing(keyed, _body(keyed))


def batch_body(events: Sequence[Outgoing]) -> bytes:
    """The body of several events. Raises InvalidInputError or TooLargeError, naming `events`."""
    if not 1 <= len(events) <= MAX_BATCH_EVENTS:
        raise invalid_argument(f"events must be 1 to {MAX_BATCH_EVENTS}, and are {len(events)}", path="events")
    body = b'{"json":[' + b",".join(event.body for event in events) + b"]}"
    if len(body) > MAX_BATCH_BYTES:
        message = f"events must be at most {MAX_BATCH_BYTES} bytes as JSON, and are {len(body)}"
        hint = "Publish them in smaller batches."
        raise TooLargeError("PAYLOAD_TOO_LARGE", message, issues=[Issue("events", message)], hint=hint)
    return body


def _body(draft: EventDraft[Any]) -> bytes:
    data = _data_json(draft.data)
    if len(data) > MAX_DATA_BYTES:
        message = f"data must be at most {MAX_DATA_BYTES} bytes as JSON, and is {len(data)}"
        raise TooLargeError("PAYLOAD_TOO_LARGE", message, issues=[Issue("data", message)])
    metadata = {
        "timestamp": draft.timestamp,
        "correlation_id": draft.correlation_id,
        "causation_id": draft.causation_id,
        "user_id": draft.user_id,
        "traceparent": draft.traceparent,
    }
    head = {
        "type": draft.type,
        "channel": draft.channel,
        "metadata": {name: value for name, value in metadata.items() if value is not None},
        "idempotency_key": draft.idempotency_key,
    }
    return json_of(head)[:-1] + b',"data":' + data + b"}"


def _data_json(data: Any) -> bytes:
    if isinstance(data, BaseModel):
        return json_of(data, "data")
    if not isinstance(data, Mapping):
        raise invalid_argument(f"data must be a mapping or a model, not {type(data).__name__}", path="data")
    return json_of(dict(data), "data")
