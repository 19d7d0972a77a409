"""A server that answers each call that publishes once it is told to, and the publishes that wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from conftest import FAST
from courier_client import CourierClient, Receipt, SyncCourierClient
from servers import batch_gateway
from submitting import progress
from waiting import until


class Holding:
    """A server that answers each call once it is told to."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.release = asyncio.Event()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        async with batch_gateway(self._hold) as address:
            try:
                yield address
            finally:
                self.release.set()

    async def _hold(self, batch: list[Any]) -> None:
        self.calls.append(numbers(batch))
        await self.release.wait()


class Threads(Holding):
    """The server, and a client of it with as many threads as are needed."""

    @asynccontextmanager
    async def used(self, **options: Any) -> AsyncIterator[SyncCourierClient]:
        with ThreadPoolExecutor(64) as self._pool:
            async with self.listening() as address:
                with SyncCourierClient(address, token="t1", retry=FAST, **options) as self.client:
                    try:
                        yield self.client
                    finally:
                        self.release.set()

    def publish(self, number: int, timeout: float | None = 30.0) -> asyncio.Future[Receipt]:
        draft = progress("b1", number)
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._pool, lambda: self.client.publish_event(draft, timeout=timeout))

    def publish_batch(self, *numbers_of: int, timeout: float | None = 30.0) -> asyncio.Future[list[Receipt]]:
        drafts = [progress("b1", number) for number in numbers_of]
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._pool, lambda: self.client.publish_batch(drafts, timeout=timeout))

    async def held(self, **options: Any) -> asyncio.Future[Receipt]:
        """Begins a publish, which is on its way until the server is told to answer."""
        first = self.publish(0, **options)
        await until(lambda: self.calls == [[0]])
        return first


def numbers(batch: list[Any]) -> list[int]:
    return [event["data"]["bars_processed"] for event in batch]


def publishing(client: CourierClient, *numbers_of: int, on: str = "b1", **options: Any) -> list[asyncio.Task[Receipt]]:
    return [asyncio.ensure_future(client.publish_event(progress(on, number), **options)) for number in numbers_of]


async def held(server: Holding, client: CourierClient, **options: Any) -> asyncio.Task[Receipt]:
    """Begins a publish, which is on its way until the server is told to answer."""
    (first,) = publishing(client, 0, **options)
    await until(lambda: server.calls == [[0]])
    return first
