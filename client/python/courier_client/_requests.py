"""Sends the request of a call in one event loop, until the gateway answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from ._answers import body_of
from .errors import CourierError, UnauthorizedError

if TYPE_CHECKING:
    from ._gateway import Call, Gateway, ResultT
    from ._loop import LoopConnections
    from ._order import Place
    from .retry import Attempts


async def send(
    gateway: Gateway[Any],
    here: LoopConnections,
    call: Call[ResultT],
    attempts: Attempts,
    earlier: Collection[Place] = (),
) -> ResultT:
    """Makes attempts until the gateway answers, or the time is over. Returns the result of the call.

    The first attempt waits until the `earlier` publishes are settled.
    """
    request = here.http.build_request(call.method, call.url, content=call.body, headers=call.headers)
    request.stream = _Body(call.body or b"", attempts)
    held_back = bool(earlier)
    with here.running(attempts.remaining):
        if held_back:
            with here.until_closing():
                await asyncio.wait(earlier)
            if here.closing.is_set():
                raise attempts.closed()
            held_back = False
        return call.read(await _attempt_until_answered(gateway, here, request, attempts))
    if here.closing.is_set():
        raise attempts.closed()
    raise attempts.held_back() if held_back else attempts.out_of_time()


async def _attempt_until_answered(
    gateway: Gateway[Any], here: LoopConnections, request: httpx.Request, attempts: Attempts
) -> Any:
    renewed = False
    while True:
        try:
            token = await here.tokens.get()
            try:
                attempts.begin()
                return await _attempt(gateway, here, request, token)
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


async def _attempt(gateway: Gateway[Any], here: LoopConnections, request: httpx.Request, token: str) -> Any:
    request.headers["Authorization"] = f"Bearer {token}"
    try:
        async with here.slots:
            response = await here.http.send(request, stream=True)
            body = await body_of(response)
    except httpx.RequestError as error:
        raise gateway.unreachable(error) from error
    return gateway.read_answer(response, body)


class _Body(httpx.AsyncByteStream):
    """The body of a request, which HTTPX asks for when it has sent the headers: from then on the attempt is sent."""

    def __init__(self, content: bytes, attempts: Attempts) -> None:
        self._content = content
        self._attempts = attempts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._attempts.sending()
        if self._content:
            yield self._content
