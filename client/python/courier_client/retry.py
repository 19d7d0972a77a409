"""When to try again: with full jitter, so that clients that were cut off together do not come back together."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import CourierTimeoutError

if TYPE_CHECKING:
    from .errors import CourierError


@dataclass(frozen=True)
class Backoff:
    """The delays between attempts, in seconds."""

    initial: float = 0.25
    """The first delay is between 0 and this; it doubles with every attempt."""
    maximum: float = 30.0
    """No delay is longer, unless the gateway asks for more."""
    busy: float = 1.0
    """What a gateway that said "after a delay" is left alone, at least."""

    def jitter(self, attempt: int) -> float:
        """The delay before an attempt that follows `attempt` others."""
        return random.uniform(0, min(self.maximum, self.initial * 2 ** min(attempt, 30)))


class Attempts:
    """Counts the attempts at one call, and says what follows a failure.

    Never more than `timeout` seconds in all; what cannot be tried again in time is not waited for.
    """

    def __init__(self, what: str, timeout: float, backoff: Backoff) -> None:
        self._what = what
        self._timeout = timeout
        self._backoff = backoff
        self._deadline = time.monotonic() + timeout
        self._failures = 0
        self._last: CourierError | None = None

    @property
    def remaining(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._deadline - time.monotonic())

    def delay_after(self, error: CourierError) -> float:
        """Seconds to wait before the next attempt. Raises `error` when there is to be none."""
        if not error.retryable:
            raise error
        if self.remaining == 0:
            raise self.out_of_time() from error
        delay = (error.retry_after or 0.0) + self._backoff.jitter(self._failures)
        self._failures += 1
        self._last = error
        if delay >= self.remaining:
            raise error
        return delay

    def out_of_time(self) -> CourierTimeoutError:
        """The error for an attempt that was given up because no time was left."""
        why = "" if self._last is None else f"; before that: {self._last.message}"
        return CourierTimeoutError("TIMEOUT", f"{self._what}: no answer within {self._timeout:g} s{why}")
