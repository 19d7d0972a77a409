"""Helpers for the tests of subscriptions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from conftest import FAST
from courier_client import AnyEvent, CourierClient, events
from processes import Gateway


@asynccontextmanager
async def connected(gateway: Gateway, **options: Any) -> AsyncIterator[CourierClient]:
    async with CourierClient(gateway.url, "cartographe", gateway.token(), retry=FAST, **options) as client:
        yield client


def progress(backtest_id: str, value: float) -> Any:
    return events.backtest_progress(backtest_id=backtest_id, progress=value)


def progress_of(event: AnyEvent) -> float:
    assert isinstance(event, events.BacktestProgressEvent)
    return event.data.progress
