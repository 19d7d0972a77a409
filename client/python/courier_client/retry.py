"""When to try again: with full jitter, so that clients that lost the gateway together do not return together."""

from __future__ import annotations

import itertools
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._arguments import duration, seconds
from .errors import ClosedError, UnreachableError, error_of

if TYPE_CHECKING:
    from .errors import CourierError

logger = logging.getLogger("courier_client")

MAX_RETRY_AFTER_SECONDS = 60.0
"""The longest delay that is honoured when a gateway or a proxy asks for one: a wrong one must not silence a client."""


@dataclass(frozen=True)
class Backoff:
    """The delays between attempts, in seconds."""

    initial: float = 0.25
    """The first delay is between 0 and this. The upper bound doubles with every attempt."""
    maximum: float = 30.0
    """No delay is longer, unless the gateway asks for a longer one: up to 60 s are added."""
    busy: float = 1.0
    """The least delay before connecting again to a gateway that closed a connection with "after a delay"."""

    def __post_init__(self) -> None:
        """Raises InvalidInputError, naming the field."""
        duration("initial", self.initial)
        seconds("maximum", self.maximum)
        duration("busy", self.busy)

    def jitter(self, attempt: int) -> float:
        """The delay before an attempt that follows `attempt` others."""
        return random.uniform(0, min(self.maximum, self.initial * 2 ** min(attempt, 30)))

    def delay_after(self, error: CourierError, failures: int) -> float:
        """The delay after `error`, which `failures` others preceded: what the gateway asked for, and jitter."""
        return asked_delay(error) + self.jitter(failures)


def asked_delay(error: CourierError) -> float:
    """Seconds that whoever answered asks to wait before the next attempt, as far as they are honoured."""
    return min(error.retry_after or 0.0, MAX_RETRY_AFTER_SECONDS)


LAST_ATTEMPT_SECONDS = 1.0
"""How much before the end of the time the last attempt begins at the latest, or a tenth of a shorter time."""


def log_repetition(failures: int, message: str, *arguments: object) -> None:
    """Logs a failure: the first of a row as a warning, which Python shows where nothing is set up."""
    logger.log(logging.WARNING if failures == 1 else logging.INFO, message, *arguments)


_numbers = itertools.count()


class Doubt:
    """Whether a publish may have been stored, through all attempts at it."""

    def __init__(self) -> None:
        self._sent = False
        """Whether an attempt was sent, at least in part."""
        self._unanswered = False
        """Whether the present attempt was."""
        self._left_open = False
        """Whether an attempt had no answer that says what the gateway did. A later answer speaks of its own attempt."""

    @property
    def may_be_stored(self) -> bool:
        return self._left_open or self._unanswered

    def begin(self) -> None:
        """Begins an attempt."""
        self._unanswered = False

    def sending(self) -> None:
        """Notes that the present attempt is sent from now on: the gateway may do what it asks for."""
        self._sent = self._unanswered = True

    def judge(self, error: CourierError) -> None:
        """Notes the failure of an attempt, and what it means for the event, also in the error."""
        self._left_open = self._left_open or (self._unanswered and _leaves_open(error))
        self._unanswered = False
        error.may_be_stored = self.may_be_stored
        if error.may_be_stored and not error.retryable:
            error.message += " (the event may have been stored: an attempt had no answer)"
            error.hint += " Publish the event again with the same idempotency key only."


class Attempts(Doubt):
    """Counts the attempts at one call, and decides what follows a failure.

    All attempts together take at most `timeout` seconds. A delay of the client's own that does not fit is made shorter,
    so that the last attempt has some time. One that the gateway asks for is not: an earlier attempt would be refused.
    """

    def __init__(
        self,
        what: str,
        base_url: str,
        timeout: float,
        backoff: Backoff,
        *,
        publishes: bool,
    ) -> None:
        """`what` names the call in errors."""
        super().__init__()
        self.number = next(_numbers)
        """In the order in which calls were made."""
        self._what = what
        self._base_url = base_url
        self._timeout = timeout
        self._backoff = backoff
        self._deadline = time.monotonic() + timeout
        self._last_begin = self._deadline - min(LAST_ATTEMPT_SECONDS, timeout / 10)
        self._failures = 0
        self._last_error: CourierError | None = None
        self._publishes = publishes
        self._waits_as: str | None = None
        """Why an attempt is not made yet."""
        self._sent_at = 0.0
        """When the present attempt was sent."""

    @property
    def remaining(self) -> float:
        """Seconds that are left; infinite without a limit."""
        return max(0.0, self._deadline - time.monotonic())

    @property
    def may_be_stored(self) -> bool:
        return self._publishes and super().may_be_stored

    @property
    def unanswered_seconds(self) -> float:
        """How long the present attempt is on its way; 0 when it is not sent."""
        return time.monotonic() - self._sent_at if self._unanswered else 0.0

    def sending(self) -> None:
        self._sent_at = time.monotonic()
        super().sending()

    def wait_as(self, why: str | None) -> None:
        """Notes why an attempt is not made yet, or that it is."""
        self._waits_as = why

    def delay_after(self, error: CourierError) -> float:
        """Seconds to wait before the next attempt. Raises the error of the call when no attempt may follow."""
        was_left_open = self._left_open
        self.judge(error)
        if not error.retryable:
            raise error
        now = time.monotonic()
        asked = asked_delay(error)
        delay = min(self._backoff.delay_after(error, self._failures), max(asked, self._last_begin - now))
        self._failures += 1
        self._last_error = error
        if now >= self._last_begin or now + asked >= self._deadline:
            raise self.out_of_time() if isinstance(error, UnreachableError) or was_left_open else error
        log_repetition(self._failures, "trying again in %.2f s: %s", delay, error)
        return delay

    def out_of_time(self) -> CourierError:
        """The error for a call whose time is over."""
        last = self._last_error
        why = "" if last is None else f": {last.message}"
        if last is not None and last.may_pass and not (self._unanswered or self._left_open):
            return last
        if self._sent:
            message = f"{self._what}: no answer within {self._timeout:g} s{why}"
            return error_of("TIMEOUT", message, may_be_stored=self.may_be_stored)
        if last is None and self._waits_as is not None:
            message = f"{self._what}: not sent within {self._timeout:g} s, as {self._waits_as}"
            return error_of("UNREACHABLE", message, hint="Give it more time, or publish less at once.")
        if last is not None and not isinstance(last, UnreachableError):
            return last
        message = f"{self._what}: {self._base_url} was not reached within {self._timeout:g} s{why}"
        return error_of("UNREACHABLE", message)

    def closed(self) -> ClosedError:
        """The error for a call that the end of the client has cut off."""
        message = "the client was closed"
        if self._left_open or self._unanswered:
            message += f"; the outcome of the {self._what} is unknown"
        return ClosedError("CLOSED", message, may_be_stored=self.may_be_stored)


class OneAttempt(Attempts):
    """The attempt at a call with several publishes, of a caller that decides itself what follows."""

    def __init__(self, what: str, base_url: str, timeout: float, backoff: Backoff, publishes: Sequence[Doubt]) -> None:
        super().__init__(what, base_url, timeout, backoff, publishes=True)
        self._each = publishes

    def begin(self) -> None:
        super().begin()
        for publish in self._each:
            publish.begin()

    def sending(self) -> None:
        super().sending()
        for publish in self._each:
            publish.sending()

    def delay_after(self, error: CourierError) -> float:
        raise error


def _leaves_open(error: CourierError) -> bool:
    """Whether the failure of an attempt that was sent does not say what the gateway did."""
    return isinstance(error, UnreachableError) or error.code == "INTERNAL_SERVER_ERROR" or error.may_be_stored
