"""When to try again: with full jitter, so that clients that lost the gateway together do not return together."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import CourierTimeoutError

if TYPE_CHECKING:
    from .errors import CourierError

logger = logging.getLogger("courier_client")


@dataclass(frozen=True)
class Backoff:
    """The delays between attempts, in seconds."""

    initial: float = 0.25
    """The first delay is between 0 and this. The upper bound doubles with every attempt."""
    maximum: float = 30.0
    """No delay is longer, unless the gateway asks for a longer one."""
    busy: float = 1.0
    """The least delay before connecting again to a gateway that closed a connection with "after a delay"."""

    def jitter(self, attempt: int) -> float:
        """The delay before an attempt that follows `attempt` others."""
        return random.uniform(0, min(self.maximum, self.initial * 2 ** min(attempt, 30)))

    def delay_after(self, error: CourierError, failures: int) -> float:
        """The delay after `error`, which `failures` others preceded: what the gateway asked for, and jitter."""
        return (error.retry_after or 0.0) + self.jitter(failures)


class Attempts:
    """Counts the attempts at one call, and decides what follows a failure.

    All attempts together take at most `timeout` seconds. A delay that would exceed it is not waited for.
    """

    def __init__(self, what: str, timeout: float, backoff: Backoff) -> None:
        """`what` names the call in errors."""
        self._what = what
        self._timeout = timeout
        self._backoff = backoff
        self._deadline = time.monotonic() + timeout
        self._failures = 0
        self._last_error: CourierError | None = None

    @property
    def remaining(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._deadline - time.monotonic())

    def delay_after(self, error: CourierError) -> float:
        """Seconds to wait before the next attempt. Raises `error` when no attempt may follow."""
        if not error.retryable:
            raise error
        if self.remaining == 0:
            raise self.out_of_time() from error
        delay = self._backoff.delay_after(error, self._failures)
        self._failures += 1
        self._last_error = error
        if delay >= self.remaining:
            raise error
        logger.info("%s; trying again in %.2f s", error, delay)
        return delay

    def out_of_time(self) -> CourierTimeoutError:
        """The error for an attempt that was given up because no time was left."""
        why = "" if self._last_error is None else f"; before that: {self._last_error.message}"
        return CourierTimeoutError("TIMEOUT", f"{self._what}: no answer within {self._timeout:g} s{why}")
