"""The errors that the client raises. Each has a code to decide by, and a hint that says what to do next."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .codes import meaning_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from .envelope import CourierGapData


_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with an escape for each character that a terminal or a log would obey. It may be of the other side."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


@dataclass(frozen=True)
class Issue:
    """One fault of an input."""

    path: str
    """The field, from the input's root, such as `data.progress`; empty for the input as a whole."""
    message: str


class CourierError(Exception):
    """Base class of every error that this package raises.

    What it says can be printed: control characters stand in it as escapes, wherever the text came from.
    """

    code: str
    """The gateway's code, or one of `codes.CLIENT_CODES`."""
    message: str
    issues: tuple[Issue, ...]
    """The faults of an input that was refused for its form; otherwise empty."""
    request_id: str | None
    """Names the call in the gateway's log. None when the gateway did not answer."""
    retry_after: float | None
    """Seconds after which the same call may succeed. None when the gateway did not say.

    The client itself waits for 60 s at most.
    """
    channel: str | None
    """The channel whose limit is reached. None where it is the caller's own, and for other errors."""
    hint: str
    """What to do next, for a person."""
    close_code: int | None
    """The WebSocket close code. None when no WebSocket was closed."""
    idempotency_key: str | None
    """The key of the publish that failed. A publish repeated with it is stored once. None for other calls."""
    may_be_stored: bool
    """Whether the event of a publish that failed may have been stored: an attempt had no answer that says."""
    may_pass: bool
    """Whether something else than a gateway answered, and a gateway may be there again."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        issues: Sequence[Issue] = (),
        request_id: str | None = None,
        retry_after: float | None = None,
        channel: str | None = None,
        hint: str | None = None,
        close_code: int | None = None,
        idempotency_key: str | None = None,
        may_be_stored: bool = False,
    ) -> None:
        self.code = code
        self.message = printable(message)
        super().__init__(self.message)
        self.issues = tuple(Issue(printable(issue.path), printable(issue.message)) for issue in issues)
        self.request_id = None if request_id is None else printable(request_id)
        self.retry_after = retry_after
        self.channel = channel
        self.hint = printable(hint) if hint is not None else meaning_of(code).hint
        self.close_code = close_code
        self.idempotency_key = idempotency_key
        self.may_be_stored = may_be_stored
        self.may_pass = False

    @property
    def retryable(self) -> bool:
        """Whether the same call, unchanged, may succeed later."""
        return meaning_of(self.code).retry or self.may_pass

    def another(self) -> Self:
        """The same error, for one of several publishes that it concerns."""
        error = copy.copy(self)
        error.__cause__ = self.__cause__
        return error

    def __str__(self) -> str:
        where = "" if self.request_id is None else f", request {self.request_id}"
        return f"{self.message} ({self.code}{where}). {self.hint}".rstrip()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[CourierError], args: tuple[str, ...], fields: dict[str, Any]) -> CourierError:
    """Unpickles an error. Pickle's default cannot, because the constructors take keywords."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(fields)
    return error


class InvalidInputError(CourierError, ValueError):
    """An argument or an event is invalid. `issues` names the fields."""


class TooLargeError(InvalidInputError):
    """The data of an event is larger than 100 KiB as JSON."""


class UnauthorizedError(CourierError):
    """The token is missing, or the gateway refused it."""


class ForbiddenError(CourierError):
    """The token does not grant what was asked for."""


class UnavailableError(CourierError):
    """The call failed for the whole time that it was tried. The same call may succeed later."""


class RateLimitedError(UnavailableError):
    """A limit is reached: the caller's, or that of `channel`."""


class UnreachableError(UnavailableError, ConnectionError):
    """No attempt was sent for the whole time that it was tried: nothing was stored.

    The gateway was not reached, or publishes before this one had no answer.
    """


class CourierTimeoutError(UnavailableError, TimeoutError):
    """An attempt was sent, and none was answered in time.

    A publish may have been stored: repeat it with `idempotency_key`.
    """


class UnexpectedAnswerError(CourierError):
    """The server that answered does not speak Courier's protocol."""


class QueueFullError(CourierError):
    """A background publisher dropped an event, because more would have waited than may."""


class ClosedError(CourierError):
    """The client, the subscription or the background publisher was closed."""


class CursorError(CourierError):
    """A cursor could not read or write its file."""


class GapError(CourierError):
    """Events are missing, and `on_gap` is `fail`. `gap` says which."""

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
    "UNEXPECTED_ANSWER": UnexpectedAnswerError,
    "TIMEOUT": CourierTimeoutError,
}


def error_of(code: str, message: str, **details: Any) -> CourierError:
    """The error of a code's class; an UnavailableError for a code that this version does not know."""
    return _KINDS.get(code, UnavailableError)(code, message, **details)


def require_choice(argument: str, given: object, *choices: str) -> None:
    """Raises InvalidInputError, naming the argument, unless it is one of the choices."""
    if given not in list(choices):
        raise invalid_argument(f"{argument} must be {' or '.join(map(repr, choices))}, not {given!r}", path=argument)


def invalid_argument(message: str, *, path: str | None = None, hint: str | None = None) -> InvalidInputError:
    """The error for an argument that cannot be used. `path` is the field that `issues` names."""
    issues = () if path is None else (Issue(path, message),)
    return InvalidInputError("INVALID_ARGUMENT", message, issues=issues, hint=hint)
