"""Helpers for the tests of background publishers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from conftest import FAST
from courier_client import BackgroundPublisher, CourierClient, EventDraft, events
from processes import Gateway


@asynccontextmanager
async def publisher(
    address: str, token: str, timeout: float = 0.5, **options: Any
) -> AsyncIterator[BackgroundPublisher]:
    async with CourierClient(address, token=token, retry=FAST, timeout=timeout) as client:
        async with BackgroundPublisher(client, retry=FAST, **options) as background:
            yield background


def counters(background: BackgroundPublisher) -> dict[str, int]:
    names = ("submitted", "published", "dropped", "refused", "pending")
    return {name: getattr(background, name) for name in names if getattr(background, name) > 0}


def progress(backtest_id: str, number: int) -> EventDraft[Any]:
    return events.backtest_progress(backtest_id=backtest_id, progress=0.5, bars_processed=number)


async def numbers_on(gateway: Gateway, channel: str) -> list[int]:
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        return [event.model_dump()["data"]["bars_processed"] async for event in client.iterate_history(channel)]
