"""When something else than a gateway answers: a wrong address, or a proxy that has no gateway for a moment."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus

from .errors import CourierError

logger = logging.getLogger("courier_client")

STRANGE_ANSWERS = 3
"""A client that no gateway has accepted ends after so many answers of strangers in a row, at the earliest."""
STRANGE_SECONDS = 30.0
"""Seconds between the first and the last of them, at least."""

_PASSING = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
"""Statuses below 500 with which a gateway, or a proxy before one, may answer."""
_OF_THE_CALL = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
}
"""Statuses that say what is wrong with a call: the same call would be refused again."""


class Strangers:
    """The answers that one client got, of all its calls and subscriptions."""

    def __init__(self) -> None:
        self._was_accepted = False
        """Whether a gateway ever accepted this client: then none of these answers is final."""
        self._answers = 0
        """In a row."""
        self._since = 0.0

    def accept(self) -> None:
        """Notes that a gateway has accepted the client."""
        self._was_accepted = True
        self._answers = 0

    def refused(self, error: CourierError, status: int, *, opens: bool) -> None:
        """Notes an answer that is no success, to a call or to what opens a subscription: whether `error` may pass.

        `error.may_pass` says whether the answer lacks a gateway's code.
        """
        proper = _PASSING if opens else _PASSING | _OF_THE_CALL
        if not error.may_pass or status in proper:
            error.may_pass = False
            self.begin_anew()
            return
        now = time.monotonic()
        if self._answers == 0:
            self._since = now
            logger.warning("%s", error)
        self._answers += 1
        is_final = self._answers >= STRANGE_ANSWERS and now - self._since >= STRANGE_SECONDS
        error.may_pass = self._was_accepted or not is_final

    def begin_anew(self) -> None:
        """Notes a failure of another kind."""
        self._answers = 0
