"""Publishes that threads make while one is on its way: they go together, as with `Coalescer`.

There is no thread of the client's own: one of those that wait, which has most time left, sends the call for all. One
that leaves before it has begun lets another one do it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ._group import PATIENCE_SECONDS, WAITS_AS, Group, outcome
from .errors import error_of

if TYPE_CHECKING:
    from ._gateway import Call, Gateway, ResultT
    from ._outgoing import Outgoing
    from .envelope import Receipt
    from .retry import Attempts

Post = Callable[["Call[Any]", str, Callable[[], None], float], Any]
"""Sends a call once, with a token, and calls a function right before. It takes so many seconds at most."""


class SyncCoalescer:
    """The single publishes of one client in one process."""

    def __init__(self, gateway: Gateway[Any], post: Post) -> None:
        self._gateway = gateway
        self._post = post
        # For all of this. A signal handler may publish while its thread holds it.
        self._lock = threading.RLock()
        self._ahead: _Attempt | None = None
        """The attempt whose thread is on the way, for whose end others wait."""
        self._waiting: dict[_Attempt, None] = {}

    def attempt(self, call: Call[ResultT], event: Outgoing, token: str, attempts: Attempts) -> ResultT:
        """Makes an attempt at a publish, alone or together with others. Raises TimeoutError when its time is over."""
        attempt = _Attempt(event, token, attempts)
        with self._lock:
            is_alone = self._ahead is None
            if is_alone:
                self._ahead = attempt
            else:
                attempts.wait_as(WAITS_AS)
                self._waiting[attempt] = None
        result: ResultT
        try:
            if is_alone:
                result = self._post(call, token, attempts.sending, attempts.remaining)
            else:
                result = self._with_others(attempt)
            return result
        finally:
            self._leave(attempt)

    def _with_others(self, attempt: _Attempt) -> Any:
        while (left := attempt.remaining) > 0:
            try:
                answer = attempt.told.get(timeout=min(left, PATIENCE_SECONDS))
            except Empty:
                if left > PATIENCE_SECONDS:
                    self._lose_patience(attempt)
                continue
            return self._lead(attempt, answer) if isinstance(answer, Group) else outcome(answer)
        raise TimeoutError

    def _lose_patience(self, attempt: _Attempt) -> None:
        with self._lock:
            if attempt in self._waiting:
                self._go()

    def _go(self) -> None:
        """Tells one of those that wait to send the next group. The caller holds the lock."""
        self._ahead = None
        if self._waiting:
            group = Group(self._waiting)
            for attempt in group.attempts:
                del self._waiting[attempt]
            self._ahead = leader = max(group.attempts, key=lambda attempt: attempt.remaining)
            leader.leads = group
            leader.told.put(group)

    def _lead(self, leader: _Attempt, group: Group[_Attempt]) -> Any:
        """Sends a group, and tells each its outcome. Returns or raises that of the leader."""
        with self._lock:
            leader.leads = None
        answers: Sequence[Receipt | Exception] | None = None
        try:
            answer = self._post(group.call(self._gateway), group.token, partial(self._sending, group), leader.remaining)
            answers = answer if isinstance(answer, list) else [answer]
        except Exception as error:  # noqa: BLE001 (it is for those who wait)
            answers = [error] * len(group.attempts)
        finally:
            if answers is None:
                interrupted = error_of("UNREACHABLE", "the thread that sent the publish was interrupted")
                answers = [interrupted] * len(group.attempts)
            for attempt, answer in zip(group.attempts, answers, strict=True):
                attempt.told.put(answer)
        return outcome(answers[group.attempts.index(leader)])

    def _sending(self, group: Group[_Attempt]) -> None:
        with self._lock:
            group.sending()

    def _leave(self, attempt: _Attempt) -> None:
        """Gives up what an attempt has: its place, the group that it was to send, and the way."""
        with self._lock:
            attempt.is_given_up = True
            self._waiting.pop(attempt, None)
            if attempt.leads is not None:
                others = {other: None for other in attempt.leads.attempts if not other.is_given_up}
                self._waiting = {**others, **self._waiting}
                attempt.leads = None
            if self._ahead is attempt:
                self._go()


@dataclass(eq=False)
class _Attempt:
    event: Outgoing
    token: str
    attempts: Attempts
    told: SimpleQueue[Receipt | Exception | Group[_Attempt]] = field(default_factory=SimpleQueue)
    """Gets the outcome, or a group that it is to send."""
    leads: Group[_Attempt] | None = None
    """The group that it is to send, until it begins."""
    is_given_up: bool = False

    @property
    def remaining(self) -> float:
        return self.attempts.remaining
