"""How long a client tries: for all of its time, however long a delay between attempts would be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import websockets

from courier_client import (
    Backoff,
    CourierClient,
    RateLimitedError,
    SyncCourierClient,
    UnavailableError,
    UnreachableError,
    events,
)
from servers import batch_gateway, free_port, websocket_server

DRAFT = events.backtest_progress(backtest_id="b1", progress=0.5)
SLOW = Backoff(initial=10_000, maximum=10_000, busy=10_000)
"""Delays that are longer than the time of a call."""
EVENT = (
    '{"id":"e1-1","channel":"backtest.b1","type":"backtest.progress",'
    '"metadata":{"timestamp":"2026-01-02T03:04:05Z","source":"s"},"data":{"backtest_id":"b1","progress":0.5}}'
)


def busy(retry_after: float) -> dict[str, Any]:
    return {"code": "TOO_MANY_REQUESTS", "detail": "busy", "retry_after_ms": retry_after * 1000}


@pytest.mark.parametrize("how", ["asynchronous", "synchronous"])
async def test_a_delay_that_does_not_fit_is_made_shorter(how: str) -> None:
    answers: Iterator[Any] = iter((busy(0), None))
    async with batch_gateway(lambda _: next(answers)) as address:
        if how == "asynchronous":
            async with CourierClient(address, token="t1", retry=SLOW, timeout=2) as client:
                await client.publish_event(DRAFT)
        else:
            with SyncCourierClient(address, token="t1", retry=SLOW, timeout=2) as sync:
                await asyncio.to_thread(sync.publish_event, DRAFT)
    assert next(answers, "none") == "none"


@pytest.mark.parametrize("retry_after", [30, 3600])
async def test_a_delay_that_is_asked_for_and_does_not_fit_ends_the_call_at_once(retry_after: float) -> None:
    answers: Iterator[Any] = iter((busy(retry_after),))
    async with batch_gateway(lambda _: next(answers)) as address:
        async with CourierClient(address, token="t1", timeout=29) as client:
            with pytest.raises(RateLimitedError) as caught:
                await asyncio.wait_for(client.publish_event(DRAFT), 10)
    assert caught.value.retry_after == retry_after


async def test_a_call_without_a_gateway_ends() -> None:
    async with CourierClient(f"http://127.0.0.1:{free_port()}", token="t1", retry=SLOW, timeout=0.2) as client:
        with pytest.raises(UnreachableError):
            await client.publish_event(DRAFT)


@pytest.mark.parametrize("close_code", [1001, 1011, 4000])
async def test_a_subscription_tries_until_its_time_is_over(close_code: int) -> None:
    connections = 0

    async def serve(socket: websockets.ServerConnection) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            await socket.close(close_code)
            return
        await socket.send(EVENT)
        await socket.wait_closed()

    async with websocket_server(serve) as address:
        async with CourierClient(address, token="t1", retry=SLOW, give_up_after=0.2) as client:
            async with client.subscribe("backtest.b1") as subscription:
                assert (await anext(subscription)).id == "e1-1"
    assert connections == 2


async def test_a_subscription_without_a_gateway_ends() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    async with CourierClient(address, token="t1", retry=SLOW, give_up_after=0.2) as client:
        with pytest.raises(UnavailableError, match=r"It was tried for"):
            await anext(client.subscribe("backtest.b1"))
