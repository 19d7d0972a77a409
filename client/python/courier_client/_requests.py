"""Sends the request of a call in one event loop, until the gateway answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from ._answers import body_of
from ._group import WAITS_AS
from .errors import CourierError, UnauthorizedError

if TYPE_CHECKING:
    from ._gateway import Call, Gateway, ResultT
    from ._loop import LoopConnections
    from ._order import Earlier
    from .retry import Attempts


async def send(
    gateway: Gateway[Any],
    here: LoopConnections,
    call: Call[ResultT],
    attempts: Attempts,
    earlier: Earlier | None = None,
) -> ResultT:
    """Makes attempts until the gateway answers, or the time is over. Returns the result of the call.

    The first attempt waits for what is `earlier`.
    """
    with here.running(attempts.remaining):
        if earlier is not None:
            await _wait_for(earlier, here, attempts)
        try:
            return await _attempt_until_answered(gateway, here, call, attempts)
        finally:
            if call.event is not None:
                here.publishes.settle(call.event, attempts)
    if here.closing.is_set():
        raise attempts.closed()
    raise attempts.out_of_time()


async def _wait_for(earlier: Earlier, here: LoopConnections, attempts: Attempts) -> None:
    """Waits before the first attempt. Raises ClosedError when events of background publishers wait and are not sent."""
    if earlier.submitted:
        attempts.wait_as("earlier events of a background publisher wait")
        with here.until_closing():
            await asyncio.wait(earlier.submitted)
        if here.closing.is_set():
            raise attempts.closed()
    if earlier.publishing:
        attempts.wait_as(WAITS_AS)
        for publishing in earlier.publishing:
            await publishing.answered()
    attempts.wait_as(None)


async def _attempt_until_answered(
    gateway: Gateway[Any], here: LoopConnections, call: Call[ResultT], attempts: Attempts
) -> ResultT:
    renewed = False
    while True:
        try:
            token = await here.tokens.get()
            try:
                attempts.begin()
                if call.event is None:
                    return await post(gateway, here, call, token, attempts.sending)
                return await here.publishes.attempt(call, call.event, token, attempts)
            except UnauthorizedError:
                # One other token is tried. When the gateway refuses that too, it would refuse a third.
                if renewed or await here.tokens.another_than(token) is None:
                    raise
                renewed = True
        except CourierError as error:
            delay = attempts.delay_after(error)
            with here.until_closing():
                await anyio.sleep(delay)
            if here.closing.is_set():
                raise attempts.closed() from error


async def post(
    gateway: Gateway[Any], here: LoopConnections, call: Call[ResultT], token: str, sending: Callable[[], None]
) -> ResultT:
    """Makes one attempt at a call. Right before it is sent, `sending` is called."""
    headers = {**call.headers, "Authorization": f"Bearer {token}"}
    request = here.http.build_request(call.method, call.url, content=call.body, headers=headers)
    request.stream = _Body(call, sending)
    try:
        async with here.slots:
            response = await here.http.send(request, stream=True)
            body = await body_of(response)
    except httpx.RequestError as error:
        raise gateway.unreachable(error) from error
    return gateway.read_answer(call, response, body)


class _Body(httpx.AsyncByteStream):
    """The body of a request, which HTTPX asks for when it has sent the headers: from then on the attempt is sent."""

    def __init__(self, call: Call[Any], sending: Callable[[], None]) -> None:
        self._call = call
        self._sending = sending

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._sending()
        if content := self._call.content:
            yield content
