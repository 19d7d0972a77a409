"""What a client has in one event loop: connections, tasks and locks belong to the loop in which they were made."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from ._coalescer import Coalescer
from ._order import ChannelOrder
from ._requests import post
from ._tokens import Tokens, TokenSource

if TYPE_CHECKING:
    from ._gateway import Gateway
    from ._stream import Stream

logger = logging.getLogger("courier_client")

MAX_REQUESTS = 100
"""Requests at a time: as many as HTTPX keeps connections. Requests that wait inside HTTPX slow each other down."""

END_SECONDS = 5.0
"""How long the subscriptions may take to end with their event loop."""
CUT_OFF_SECONDS = 1.0
"""How long a subscription that was cut off may take to end."""


class LoopConnections:
    """The connections of one client in the running event loop. They are closed with the client, or with the loop."""

    def __init__(self, gateway: Gateway[Any], source: TokenSource, on_closed: Callable[[], None]) -> None:
        self.tokens = Tokens(source, gateway.token_timeout)
        self.slots = asyncio.Semaphore(MAX_REQUESTS)
        self.order = ChannelOrder()
        self.publishes = Coalescer(gateway, partial(post, gateway, self))
        self.subscriptions: set[Stream[Any, Any]] = set()
        self.closing = asyncio.Event()
        """Set when the client is being closed: no call begins another attempt."""
        self._running: set[anyio.CancelScope] = set()
        self._interrupted_by_closing: set[anyio.CancelScope] = set()
        self._idle = asyncio.Event()
        self._on_closed = on_closed
        self.http = httpx.AsyncClient(
            headers=gateway.headers,
            timeout=httpx.Timeout(_limit(gateway.attempt_timeout), connect=_limit(gateway.connect_timeout)),
            verify=gateway.ssl_context,
            proxy=gateway.http_proxy,
            trust_env=False,
        )
        # An event loop that ends closes the generators that were begun in it. Nothing else tells us that it ends.
        self._keeper = self._kept_open()
        with suppress(StopIteration):
            self._keeper.__anext__().send(None)

    @contextmanager
    def running(self, timeout: float) -> Iterator[None]:
        """Surrounds a call, which is cut off after `timeout` seconds, and when the client is closed."""
        with anyio.move_on_after(timeout) as scope:
            self._running.add(scope)
            try:
                yield
            finally:
                self._running.discard(scope)
                if not self._running:
                    self._idle.set()

    @contextmanager
    def until_closing(self) -> Iterator[None]:
        """Surrounds what a call waits for before an attempt. It ends at once when the client is closed."""
        with anyio.CancelScope() as scope:
            self._interrupted_by_closing.add(scope)
            if self.closing.is_set():
                scope.cancel()
            try:
                yield
            finally:
                self._interrupted_by_closing.discard(scope)

    def _begin_closing(self) -> None:
        self.closing.set()
        for scope in self._interrupted_by_closing:
            scope.cancel()

    async def close(self, timeout: float) -> None:
        """Ends the subscriptions, waits for the running calls, cuts off all after `timeout` seconds, and disconnects.

        Raises what a cursor raises.
        """
        deadline = time.monotonic() + timeout
        failure: BaseException | None = None
        self._begin_closing()
        try:
            failure = await self._close_subscriptions(timeout)
            with anyio.move_on_after(max(0.0, deadline - time.monotonic())):
                await self._calls_ended()
            for scope in [*self._running]:
                scope.cancel()
            await self._calls_ended()
        finally:
            await self._keeper.aclose()
        if failure is not None:
            raise failure

    async def _close_subscriptions(self, timeout: float) -> BaseException | None:
        """Closes them together, and cuts off what takes longer than `timeout` seconds. Returns what a cursor raised."""
        if not self.subscriptions:
            return None
        closing = [asyncio.ensure_future(subscription.aclose()) for subscription in [*self.subscriptions]]
        await asyncio.wait(closing, timeout=_limit(timeout))
        for ending in closing:
            if ending.cancel():
                logger.warning("a subscription was cut off before its cursor was done: events may come again")
        closed, _ = await asyncio.wait(closing, timeout=CUT_OFF_SECONDS)
        failures = [ending.exception() for ending in closing if ending in closed and not ending.cancelled()]
        return next((failure for failure in failures if failure is not None), None)

    async def _calls_ended(self) -> None:
        while self._running:
            self._idle.clear()
            await self._idle.wait()

    async def _kept_open(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            failure: BaseException | None = None
            self._begin_closing()
            self._on_closed()
            with anyio.CancelScope(shield=True):
                try:
                    failure = await self._close_subscriptions(END_SECONDS)
                finally:
                    await self.publishes.aclose()
                    await self.http.aclose()
            if failure is not None:
                raise failure


def _limit(seconds: float) -> float | None:
    return None if seconds == float("inf") else seconds
