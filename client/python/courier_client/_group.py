"""Publishes that go together in one call, as they were made while another one was on its way. No I/O happens here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ._outgoing import BATCH_FRAME_BYTES, MAX_BATCH_BYTES, MAX_BATCH_EVENTS
from .errors import CourierError

if TYPE_CHECKING:
    from ._gateway import Call, Gateway
    from ._outgoing import Outgoing
    from .envelope import Receipt
    from .retry import Attempts

PATIENCE_SECONDS = 1.0
"""How long publishes wait for a call before them: one that hangs holds nobody back for longer."""
WAITS_AS = "the publishes before it have no answer"
"""Why they wait, in errors."""


class Attempt(Protocol):
    """An attempt at a publish, for which a caller waits."""

    event: Outgoing
    token: str

    attempts: Attempts

    @property
    def is_given_up(self) -> bool:
        """Whether its caller waits no more."""
        ...


AttemptT = TypeVar("AttemptT", bound=Attempt)


class Group(Generic[AttemptT]):
    """The first of those that wait, as far as they have one token and fit into one call."""

    def __init__(self, waiting: Iterable[AttemptT]) -> None:
        self.attempts: list[AttemptT] = []
        size = BATCH_FRAME_BYTES
        for attempt in waiting:
            size += attempt.event.size
            if self.attempts and not (
                len(self.attempts) < MAX_BATCH_EVENTS and size <= MAX_BATCH_BYTES and attempt.token == self.token
            ):
                break
            self.attempts.append(attempt)
            attempt.attempts.wait_as(None)
        self.events = [attempt.event for attempt in self.attempts]

    @property
    def token(self) -> str:
        return self.attempts[0].token

    def call(self, gateway: Gateway[Any]) -> Call[Any]:
        """Its call. Where that is for one event, the answer is the receipt, else a list of outcomes."""
        return gateway.publish_each(self.events) if len(self.events) > 1 else gateway.publish(self.events[0])

    def sending(self) -> None:
        """Leaves out those that were given up. Notes that the others are sent from now on."""
        self.attempts = [attempt for attempt in self.attempts if not attempt.is_given_up]
        self.events[:] = [attempt.event for attempt in self.attempts]
        for attempt in self.attempts:
            attempt.attempts.sending()


def outcome(answer: Receipt | Exception) -> Receipt:
    """Returns or raises what became of one event. An error may be that of a call with others."""
    if isinstance(answer, CourierError):
        raise answer.another()
    if isinstance(answer, Exception):
        raise answer
    return answer
