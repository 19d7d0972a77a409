"""Publishes that are made while one is on its way, in one event loop: they go together.

A publish that finds no other on its way is sent at once, by its caller. Others wait, in the order in which they were
made: as many as there are callers, each for its own timeout at most. When the call before them ends, or hangs, a task
sends all that wait, as far as they fit into one call, and gives each caller the outcome of its event. What is given up
before that call is sent is left out of it. Later, the call goes on for the others; the last one that gives up ends it.

A publish that is tried again holds back the later ones of its channel, and no others, until it is settled.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._group import PATIENCE_SECONDS, WAITS_AS, Group, outcome
from ._order import Repeated
from .errors import CourierError

if TYPE_CHECKING:
    from ._gateway import Call, Gateway, ResultT
    from ._outgoing import Outgoing
    from .envelope import Receipt
    from .retry import Attempts

Post = Callable[["Call[Any]", str, Callable[[], None]], Awaitable[Any]]
"""Sends a call once, with a token, and calls a function right before."""


class Coalescer:
    """The single publishes of one client in the running event loop."""

    def __init__(self, gateway: Gateway[Any], post: Post) -> None:
        self._gateway = gateway
        self._post = post
        self._loop = asyncio.get_running_loop()
        self._ahead: object | None = None
        """The call for whose end publishes wait."""
        self._waiting: dict[_Attempt, None] = {}
        self._repeated = Repeated()
        self._patience: asyncio.TimerHandle | None = None
        """Runs while publishes wait, from when the call before them began."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def attempt(self, call: Call[ResultT], event: Outgoing, token: str, attempts: Attempts) -> ResultT:
        """Makes an attempt at a publish, alone or together with others."""
        result: ResultT
        try:
            if self._ahead is not None or self._repeated.before(event.draft.channel, attempts.number) > 0:
                attempts.wait_as(WAITS_AS)
                result = await self._with_others(_Attempt(event, token, attempts, self._loop.create_future()))
            else:
                result = await self._alone(call, token, attempts)
        except CourierError:
            # It may be tried again.
            self._repeated.add(event.draft.channel, attempts.number)
            raise
        return result

    def settle(self, event: Outgoing, attempts: Attempts) -> None:
        """Notes the end of a publish, after all attempts at it."""
        channel = event.draft.channel
        if self._repeated.has(channel, attempts.number):
            self._repeated.remove(channel, attempts.number)
            if self._ahead is None:
                self._go()

    async def aclose(self) -> None:
        """Ends the calls that are on their way, and those that wait for them."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _alone(self, call: Call[Any], token: str, attempts: Attempts) -> Any:
        ahead = self._ahead = object()
        self._wait_anew()
        try:
            return await self._post(call, token, attempts.sending)
        finally:
            self._end(ahead)

    async def _with_others(self, attempt: _Attempt) -> Any:
        self._waiting[attempt] = None
        if self._patience is None:
            self._wait_anew()
        try:
            return outcome(await attempt.answer)
        except asyncio.CancelledError:
            self._give_up(attempt)
            raise

    def _give_up(self, attempt: _Attempt) -> None:
        call = attempt.call
        if call is None:
            self._waiting.pop(attempt, None)
            if not self._waiting:
                self._wait_anew()
            return
        call.callers -= 1
        if call.callers == 0:
            call.task.cancel()
            self._end(call)

    def _end(self, call: object) -> None:
        """Notes the end of a call. What waits for it goes with what those publish next who have just been answered."""
        if self._waiting or isinstance(call, _Call):
            self._loop.call_soon(self._go_after, call)
        else:
            self._go_after(call)

    def _go_after(self, call: object) -> None:
        if self._ahead is call:
            self._ahead = None
            self._go()

    def _go(self) -> None:
        """Sends the next group, where there is one."""
        group = Group(self._next())
        if group.attempts:
            for attempt in group.attempts:
                del self._waiting[attempt]
            call = self._ahead = _Call(group)
            call.task = self._loop.create_task(self._send(call))
            self._tasks.add(call.task)
            call.task.add_done_callback(self._tasks.discard)
        self._wait_anew()

    def _next(self) -> Iterator[_Attempt]:
        """Those that wait, in the order in which they were made: behind repeated ones of their channel, or not yet."""
        if not self._repeated:
            yield from self._waiting
            return
        given: Counter[str] = Counter()
        for attempt in sorted(self._waiting, key=lambda attempt: attempt.attempts.number):
            channel, number = attempt.event.draft.channel, attempt.attempts.number
            if self._repeated.before(channel, number) == given[channel]:
                given[channel] += self._repeated.has(channel, number)
                yield attempt

    def _wait_anew(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = self._loop.call_later(PATIENCE_SECONDS, self._go) if self._waiting else None

    async def _send(self, call: _Call) -> None:
        group = call.group
        answers: Sequence[Receipt | Exception]
        try:
            answer = await self._post(group.call(self._gateway), group.token, call.sending)
            answers = answer if isinstance(answer, list) else [answer]
        except Exception as error:  # noqa: BLE001 (it is for those who wait)
            answers = [error] * len(group.attempts)
        except asyncio.CancelledError:
            for attempt in group.attempts:
                attempt.answer.cancel()
            raise
        for attempt, answer in zip(group.attempts, answers, strict=True):
            if not attempt.is_given_up:
                attempt.answer.set_result(answer)
        self._end(call)


@dataclass(eq=False)
class _Attempt:
    event: Outgoing
    token: str
    attempts: Attempts
    answer: asyncio.Future[Receipt | Exception]
    call: _Call | None = None
    """The call in which it goes."""

    @property
    def is_given_up(self) -> bool:
        return self.answer.done()


class _Call:
    """A call with which a group is on its way."""

    task: asyncio.Task[None]

    def __init__(self, group: Group[_Attempt]) -> None:
        self.group = group
        self.callers = len(group.attempts)
        """How many wait for the answer."""
        for attempt in group.attempts:
            attempt.call = self

    def sending(self) -> None:
        self.group.sending()
        if not self.group.attempts:
            # All have been cancelled, and none of them has run since.
            raise asyncio.CancelledError
