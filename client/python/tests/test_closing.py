"""Closing what waits: it ends, and raises nothing but a CourierError."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from conftest import FAST
from courier_client import (
    BackgroundPublisher,
    ClosedError,
    CourierClient,
    EventDraft,
    SubscriptionState,
    SyncCourierClient,
    events,
)
from processes import Gateway
from servers import free_port, tcp_server
from waiting import until

DRAFT: EventDraft[Any] = events.backtest_progress(backtest_id="b1", progress=0.5)
RECEIPT = (
    '{"id":"e1-1","channel":"backtest.b1","type":"backtest.progress",'
    '"timestamp":"2026-01-02T03:04:05.678Z","duplicate":false}'
)


class SlowServer:
    """Answers each request with a receipt once it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = asyncio.Event()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            gone = asyncio.ensure_future(self.left(reader))
            answer = asyncio.ensure_future(self.answer.wait())
            await asyncio.wait([gone, answer], return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                writer.write(f"HTTP/1.1 201 Created\r\nContent-Length: {len(RECEIPT)}\r\n\r\n{RECEIPT}".encode())
                await writer.drain()
            gone.cancel()
            answer.cancel()

        async with tcp_server(serve) as address:
            yield address

    async def left(self, reader: asyncio.StreamReader) -> None:
        while await reader.read(1024):
            pass


WAITING: dict[str, Callable[[CourierClient], Awaitable[object]]] = {
    "publish": lambda client: client.publish_event(DRAFT),
    "publish_batch": lambda client: client.publish_batch([DRAFT, DRAFT]),
    "history": lambda client: client.history("backtest.b1"),
    "iterate_history": lambda client: anext(client.iterate_history("backtest.b1")),
}


@pytest.mark.parametrize("waits", WAITING.values(), ids=WAITING.keys())
async def test_a_call_that_waits_for_an_answer_is_cut_off(waits: Callable[[CourierClient], Awaitable[object]]) -> None:
    server = SlowServer()
    async with server.listening() as address:
        client = CourierClient(address, token="t1")
        call = asyncio.ensure_future(waits(client))
        await until(lambda: server.asked == 1)
        began = time.monotonic()
        await client.aclose(timeout=0.05)
        assert time.monotonic() - began < 2
        with pytest.raises(ClosedError, match=r"the outcome of the .* is unknown"):
            await call


@pytest.mark.parametrize("waits", WAITING.values(), ids=WAITING.keys())
async def test_a_call_that_waits_for_another_attempt_ends_at_once(
    waits: Callable[[CourierClient], Awaitable[object]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "courier_client")
    client = CourierClient(f"http://127.0.0.1:{free_port()}", token="t1", timeout=None)
    call = asyncio.ensure_future(waits(client))
    await until(lambda: "trying again" in caplog.text)
    began = time.monotonic()
    await client.close(timeout=None)
    assert time.monotonic() - began < 2
    with pytest.raises(ClosedError, match=r"^the client was closed \("):
        await call


async def test_a_call_that_fails_while_the_client_closes_is_not_repeated() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await answer.wait()
        writer.write(b"HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with tcp_server(serve) as address:
        client = CourierClient(address, token="t1", timeout=None)
        call = asyncio.ensure_future(client.history("backtest.b1"))
        await asked.wait()
        closing = asyncio.ensure_future(client.aclose(timeout=None))
        await asyncio.sleep(0)
        answer.set()
        await asyncio.wait_for(closing, 5)
        with pytest.raises(ClosedError):
            await call


async def test_closing_waits_for_the_answer_to_a_publish() -> None:
    server = SlowServer()
    async with server.listening() as address:
        client = CourierClient(address, token="t1")
        publishing = asyncio.ensure_future(client.publish_event(DRAFT))
        await until(lambda: server.asked == 1)
        closing = asyncio.ensure_future(client.aclose())
        await asyncio.sleep(0)
        with pytest.raises(ClosedError):
            await client.publish_event(DRAFT)
        server.answer.set()
        await closing
        assert (await publishing).id == "e1-1"


async def test_a_subscription_that_waits_ends(gateway: Gateway) -> None:
    client = CourierClient(gateway.url, token=gateway.token())
    subscription = client.subscribe("backtest.closing")
    got: list[Any] = []

    async def consume() -> None:
        async for event in subscription:
            got.append(event)  # noqa: PERF401 (nothing comes)

    consuming = asyncio.ensure_future(consume())
    await until(lambda: subscription.state is SubscriptionState.LIVE)
    await client.aclose()
    await consuming
    assert got == []


async def test_cursors_that_hang_are_cut_off_together(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    class Hanging:
        def load(self) -> None:
            return None

        def save(self, position: str, /) -> None:
            pass

        async def flush(self) -> None:
            await asyncio.Event().wait()

    client = CourierClient(gateway.url, token=gateway.token())
    subscriptions = [client.subscribe("backtest.hanging", cursor=Hanging()) for _ in range(3)]
    for subscription in subscriptions:
        await subscription.__aenter__()
    tasks = asyncio.all_tasks()
    await asyncio.wait_for(client.aclose(timeout=0.05), 5)
    assert {subscription.state for subscription in subscriptions} == {SubscriptionState.CLOSED}
    assert caplog.text.count("cut off") == 3
    # The connections have ended too.
    await until(lambda: asyncio.all_tasks() < tasks)


async def test_a_subscription_that_never_reached_the_gateway_ends() -> None:
    client = CourierClient(f"http://127.0.0.1:{free_port()}", token="t1", retry=FAST)
    subscription = client.subscribe("backtest.closing")
    entering = asyncio.ensure_future(subscription.__aenter__())
    await until(lambda: subscription.last_error is not None)
    await client.aclose()
    with pytest.raises(ClosedError):
        await entering
    with pytest.raises(ClosedError):
        client.subscribe("backtest.closing")


async def test_a_flush_ends_when_the_client_is_closed() -> None:
    server = SlowServer()
    async with server.listening() as address:
        client = CourierClient(address, token="t1")
        background = BackgroundPublisher(client)
        background.submit_event(DRAFT)
        flushing = asyncio.ensure_future(background.flush(timeout=None))
        await until(lambda: server.asked == 1)
        await client.aclose(timeout=0.05)
        assert await flushing
        assert (background.dropped, background.refused, background.pending) == (1, 0, 0)
        await background.close()


async def test_a_synchronous_call_is_cut_off_from_another_thread() -> None:
    server = SlowServer()
    async with server.listening() as address:
        client = SyncCourierClient(address, token="t1")
        publishing = asyncio.ensure_future(asyncio.to_thread(client.publish_event, DRAFT))
        await until(lambda: server.asked == 1)
        began = time.monotonic()
        await asyncio.to_thread(client.close, 0.05)
        assert time.monotonic() - began < 1
        with pytest.raises(ClosedError, match="unknown"):
            await publishing
        with pytest.raises(ClosedError):
            client.publish_event(DRAFT)


async def test_a_synchronous_client_waits_for_the_answer_of_another_thread() -> None:
    server = SlowServer()
    async with server.listening() as address:
        client = SyncCourierClient(address, token="t1")
        publishing = asyncio.ensure_future(asyncio.to_thread(client.publish_event, DRAFT))
        await until(lambda: server.asked == 1)
        closing = asyncio.ensure_future(asyncio.to_thread(client.close))
        server.answer.set()
        await closing
        assert (await publishing).id == "e1-1"


async def test_a_synchronous_client_that_waits_for_another_attempt_ends_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "courier_client")
    client = SyncCourierClient(f"http://127.0.0.1:{free_port()}", token="t1", timeout=None)
    publishing = asyncio.ensure_future(asyncio.to_thread(client.publish_event, DRAFT))
    await until(lambda: "trying again" in caplog.text)
    await asyncio.to_thread(client.close)
    with pytest.raises(ClosedError):
        await asyncio.wait_for(publishing, 2)
