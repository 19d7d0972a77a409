"""The errors that the client raises: a code to decide by, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .codes import meaning_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .models import CourierGapData


@dataclass(frozen=True)
class Issue:
    """One thing that is wrong with an input."""

    path: str
    """Where, from the input's root: `data.progress`; empty for the input as a whole."""
    message: str


class CourierError(Exception):
    """Whatever goes wrong with Courier. Its subclasses are what one may want to catch apart."""

    code: str
    """The gateway's code, or one of `codes.CLIENT_CODES`."""
    message: str
    issues: tuple[Issue, ...]
    """What is wrong with the input, where it was refused for its form."""
    request_id: str | None
    """Names the call in the gateway's log."""
    retry_after: float | None
    """After how many seconds the same call may succeed, where the gateway said so."""
    hint: str
    """What to do next."""
    close_code: int | None
    """What the WebSocket was closed with, where it was."""
    idempotency_key: str | None
    """Of the publish that this is about: repeated with it, the event is stored once."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        issues: Sequence[Issue] = (),
        request_id: str | None = None,
        retry_after: float | None = None,
        hint: str | None = None,
        close_code: int | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.issues = tuple(issues)
        self.request_id = request_id
        self.retry_after = retry_after
        self.hint = hint if hint is not None else meaning_of(code).hint
        self.close_code = close_code
        self.idempotency_key = idempotency_key

    @property
    def retryable(self) -> bool:
        """May the same call succeed later, unchanged?"""
        return meaning_of(self.code).retry

    def __str__(self) -> str:
        where = "" if self.request_id is None else f", request {self.request_id}"
        return f"{self.message} ({self.code}{where}). {self.hint}".rstrip()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[CourierError], args: tuple[str, ...], fields: dict[str, Any]) -> CourierError:
    """Unpickles; the constructor cannot, for it takes keywords."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(fields)
    return error


class InvalidInputError(CourierError, ValueError):
    """An argument, or what was to be published, is not as it must be. `issues` names the fields."""


class TooLargeError(InvalidInputError):
    """The data is larger than 100 KiB."""


class UnauthorizedError(CourierError):
    """There is no token, or the gateway refused it."""


class ForbiddenError(CourierError):
    """The token does not grant this."""


class UnavailableError(CourierError):
    """The gateway could not do it now, for as long as it was tried."""


class RateLimitedError(UnavailableError):
    """The caller is beyond its limits."""


class UnreachableError(UnavailableError, ConnectionError):
    """There was no connection to the gateway, for as long as it was tried."""


class CourierTimeoutError(UnavailableError, TimeoutError):
    """There was no answer in time. A publish may have been stored: see `idempotency_key`."""


class UnexpectedAnswerError(CourierError):
    """What answered does not speak Courier's protocol."""


class QueueFullError(CourierError):
    """A background publisher gave an event up, for it had more than it may hold."""


class ClosedError(CourierError):
    """The client, the subscription or the publisher was closed."""


class GapError(CourierError):
    """Events are missing, and the subscription or the read was to fail then."""

    gap: CourierGapData

    def __init__(self, gap: CourierGapData) -> None:
        super().__init__(
            "GAP",
            f"events after {gap.requested} are missing ({gap.reason}); what follows begins after {gap.resumed_from}",
        )
        self.gap = gap


_KINDS: dict[str, type[CourierError]] = {
    "PARSE_ERROR": InvalidInputError,
    "BAD_REQUEST": InvalidInputError,
    "NOT_FOUND": InvalidInputError,
    "METHOD_NOT_SUPPORTED": InvalidInputError,
    "UNSUPPORTED_MEDIA_TYPE": InvalidInputError,
    "INVALID_ARGUMENT": InvalidInputError,
    "PAYLOAD_TOO_LARGE": TooLargeError,
    "UNAUTHORIZED": UnauthorizedError,
    "FORBIDDEN": ForbiddenError,
    "TOO_MANY_REQUESTS": RateLimitedError,
    "UNREACHABLE": UnreachableError,
}


def error_of(code: str, message: str, **details: Any) -> CourierError:
    """The error for a code; one that this version does not know is an UnavailableError."""
    return _KINDS.get(code, UnavailableError)(code, message, **details)
