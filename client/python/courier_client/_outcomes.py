"""What became of the events that were submitted: counted, and told where an event will not be stored."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from ._outgoing import Outgoing
from .causes import caused_by
from .envelope import EventDraft
from .errors import ClosedError, CourierError

logger = logging.getLogger("courier_client")

OnError = Callable[[Exception, EventDraft[Any]], object]
"""A function that is called with each event that will not be stored, and the error that says why."""


class Outcomes:
    """Counts events. Any thread may call it."""

    def __init__(self, on_error: OnError | None) -> None:
        self._on_error = on_error
        # A signal handler may submit while its thread holds it.
        self._lock = threading.RLock()
        self.submitted = self.published = self.dropped = self.refused = 0

    @property
    def pending(self) -> int:
        return self.submitted - self.published - self.dropped - self.refused

    def submit(self) -> None:
        with self._lock:
            self.submitted += 1

    def publish(self, events: int) -> None:
        with self._lock:
            self.published += events

    def refuse(self, event: EventDraft[Any], error: Exception) -> None:
        with self._lock:
            self.refused += 1
        logger.error("an event was refused: %s", error)
        self._report(event, error)

    def drop(self, event: Outgoing, error: Exception) -> None:
        with self._lock:
            self.dropped += 1
        self._report(event.as_sent(), error)

    def _report(self, event: EventDraft[Any], error: Exception) -> None:
        if self._on_error is None:
            return
        try:
            # It may run in the context of any publish, such as the one that another was dropped for.
            with caused_by(None):
                self._on_error(error, event)
        except Exception:
            logger.exception("on_error failed")


def never_stored(*, may_be_stored: bool = False, last: CourierError | None = None) -> ClosedError:
    """`last` is what the last attempt failed with."""
    message = "the publisher was closed, or its event loop has ended"
    if last is None:
        return ClosedError("CLOSED", message, may_be_stored=may_be_stored)
    message += f"; its last attempt failed: {last.message}"
    hint = "See to that, or give `close` more `timeout`."
    return ClosedError("CLOSED", message, may_be_stored=may_be_stored, hint=hint)
