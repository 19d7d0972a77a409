"""The codes of the protocol, as in `src/contract/codes.ts`, and those of failures that only a client sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reconnect = Literal["yes", "after-delay", "no", "with-new-token"]


@dataclass(frozen=True)
class CodeMeaning:
    """What an error code means to the caller."""

    retry: bool
    """Whether the same call, unchanged, may succeed later."""
    hint: str
    """What to do next, for a person."""


@dataclass(frozen=True)
class CloseMeaning:
    """What the gateway means by a WebSocket close code."""

    code: str
    """The error code of the same meaning."""
    reconnect: Reconnect
    """Whether the client may connect again, and how soon."""
    hint: str
    """What to do next, for a person."""


SERVER_CODES: dict[str, CodeMeaning] = {
    "PARSE_ERROR": CodeMeaning(retry=False, hint="What was sent is no message of Courier."),
    "BAD_REQUEST": CodeMeaning(retry=False, hint="Mend what `issues` names."),
    "UNAUTHORIZED": CodeMeaning(retry=False, hint="Get another token: pass `token`, or set COURIER_TOKEN."),
    "FORBIDDEN": CodeMeaning(retry=False, hint="Get a token that grants this."),
    "NOT_FOUND": CodeMeaning(retry=False, hint="Check what was asked for, and the path of `base_url`."),
    "METHOD_NOT_SUPPORTED": CodeMeaning(retry=False, hint="Check the path of `base_url`."),
    "PAYLOAD_TOO_LARGE": CodeMeaning(retry=False, hint="Send less data, or a reference to it."),
    "UNSUPPORTED_MEDIA_TYPE": CodeMeaning(retry=False, hint="Check that client and gateway are of one version."),
    "TOO_MANY_REQUESTS": CodeMeaning(retry=True, hint="Wait for `retry_after`, and keep to the limits."),
    "INTERNAL_SERVER_ERROR": CodeMeaning(
        retry=True, hint="Try again later; the gateway's log says more, by `request_id`."
    ),
    "SERVICE_UNAVAILABLE": CodeMeaning(retry=True, hint="Try again after `retry_after`."),
}
"""The codes that the gateway answers with."""

CLIENT_CODES: dict[str, CodeMeaning] = {
    "INVALID_ARGUMENT": CodeMeaning(retry=False, hint="Mend the call."),
    "UNREACHABLE": CodeMeaning(retry=True, hint="Check `base_url`, and that the gateway runs (GET /livez)."),
    "UNEXPECTED_ANSWER": CodeMeaning(retry=False, hint="Check that `base_url` names a Courier gateway."),
    "TOKEN_UNAVAILABLE": CodeMeaning(retry=True, hint="Look at what the token function raised: it is the cause."),
    "TIMEOUT": CodeMeaning(
        retry=True,
        hint="The outcome is unknown: repeated with its `idempotency_key`, a publish is stored once.",
    ),
    "QUEUE_FULL": CodeMeaning(
        retry=False, hint="Publish less, or give the publisher a larger `max_events` or `max_queued_bytes`."
    ),
    "GAP": CodeMeaning(
        retry=False,
        hint="Read what is missing from where it is kept, then subscribe from `gap.resumed_from`.",
    ),
    "CURSOR_UNAVAILABLE": CodeMeaning(retry=True, hint="Look at the cause: the position could not be read or saved."),
    "CLOSED": CodeMeaning(retry=False, hint="It was closed: make another."),
}
"""The codes of failures that only a client sees."""

CLOSE_CODES: dict[int, CloseMeaning] = {
    1001: CloseMeaning("SERVICE_UNAVAILABLE", "yes", "The gateway is shutting down."),
    1008: CloseMeaning(
        "UNAUTHORIZED",
        "with-new-token",
        "The token is missing, invalid, expired or revoked, or does not grant this: get another.",
    ),
    1009: CloseMeaning("PAYLOAD_TOO_LARGE", "no", "Send smaller messages."),
    1011: CloseMeaning("INTERNAL_SERVER_ERROR", "after-delay", "Try again later."),
    1013: CloseMeaning("SERVICE_UNAVAILABLE", "after-delay", "Open fewer connections, or try again later."),
    4400: CloseMeaning(
        "BAD_REQUEST",
        "no",
        "Mend what the message names: the gateway has none such, or it is out of its bounds.",
    ),
    4408: CloseMeaning("UNAUTHORIZED", "no", "Check that nothing on the way drops the headers."),
    4429: CloseMeaning("TOO_MANY_REQUESTS", "after-delay", "Keep to the limits."),
    4509: CloseMeaning("SERVICE_UNAVAILABLE", "yes", "Read faster."),
}
"""The codes that the gateway closes a WebSocket with. Any other code means that the connection was lost."""


def meaning_of(code: str) -> CodeMeaning:
    """The meaning of a code; that of INTERNAL_SERVER_ERROR for a code that this version does not know."""
    return SERVER_CODES.get(code) or CLIENT_CODES.get(code) or SERVER_CODES["INTERNAL_SERVER_ERROR"]
