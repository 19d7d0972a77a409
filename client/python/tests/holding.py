"""A server that answers each call that publishes once it is told to, and the publishes that wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from courier_client import CourierClient, Receipt
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


def numbers(batch: list[Any]) -> list[int]:
    return [event["data"]["bars_processed"] for event in batch]


def publishing(client: CourierClient, *numbers_of: int, **options: Any) -> list[asyncio.Task[Receipt]]:
    return [asyncio.ensure_future(client.publish_event(progress("b1", number), **options)) for number in numbers_of]


async def held(server: Holding, client: CourierClient, **options: Any) -> asyncio.Task[Receipt]:
    """Begins a publish, which is on its way until the server is told to answer."""
    (first,) = publishing(client, 0, **options)
    await until(lambda: server.calls == [[0]])
    return first
