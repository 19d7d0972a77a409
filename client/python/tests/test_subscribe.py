"""What a consumer receives, and how a subscription ends. The conformance vectors cover where it resumes too."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest
import websockets

from conftest import FAST
from courier_client import (
    AnyEvent,
    ClosedError,
    CourierClient,
    EventType,
    InvalidInputError,
    SubscriptionState,
    events,
)
from courier_client.models import CourierGapData
from processes import Gateway, ScriptedServer
from servers import deaf_server, websocket_server
from subscribing import connected, progress, progress_of
from waiting import at_rest, until


async def test_events_that_are_published_inside_arrive(gateway: Gateway) -> None:
    async with connected(gateway) as client:
        async with client.subscribe("backtest.inside", on_gap="fail") as subscription:
            receipts = [await client.publish_event(progress("inside", value)) for value in (0.25, 0.5)]
            got = [await anext(subscription), await anext(subscription)]
    assert [event.id for event in got] == [receipt.id for receipt in receipts]
    assert [progress_of(event) for event in got] == [0.25, 0.5]
    # The last event was given, and nobody has said that it is handled.
    assert subscription.last_event_id == receipts[0].id


async def test_several_channels_and_types(gateway: Gateway) -> None:
    async with connected(gateway) as client:
        channels = ["backtest.several", "backtest.others", "user.several"]
        types: list[EventType] = ["backtest.progress", "backtest.failed"]
        async with client.subscribe(channels, types=types, on_gap="fail") as subscription:
            await client.publish_event(progress("several", 0.1))
            await client.publish_event(events.backtest_started(backtest_id="several"))
            await client.publish_event(progress("elsewhere", 0.2))
            failed = events.backtest_failed(backtest_id="x", code="E1", message="no", channel="user.several")
            await client.publish_event(failed)
            got = [await anext(subscription), await anext(subscription)]
    assert [(event.channel, event.type) for event in got] == [
        ("backtest.several", "backtest.progress"),
        ("user.several", "backtest.failed"),
    ]


async def test_from_the_earliest_and_after_an_event(gateway: Gateway) -> None:
    async with connected(gateway) as client:
        for value in (0.1, 0.2, 0.3):
            await client.publish_event(progress("replayed", value))
        async with client.subscribe("backtest.replayed", from_="earliest", on_gap="fail") as subscription:
            first = await anext(subscription)
        async with client.subscribe("backtest.replayed", last_event_id=first.id, on_gap="fail") as subscription:
            rest = [progress_of(await anext(subscription)) for _ in range(2)]
    assert progress_of(first) == 0.1
    assert rest == [0.2, 0.3]


async def open_connections(gateway: Gateway) -> int:
    """The number of WebSockets that are connected to the gateway."""
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {gateway.token('root', 'admin')}"}) as http:
        connections: int = (await http.get(f"{gateway.url}/stats")).json()["connections"]["total"]
        return connections


async def test_a_loop_that_is_left_ends_the_subscription(start_gateway: Any) -> None:
    gateway = start_gateway()
    async with connected(gateway) as client:
        await client.publish_event(progress("left", 0.5))
        before = asyncio.all_tasks()
        async for _ in client.subscribe("backtest.left", from_="earliest", on_gap="fail"):
            assert await open_connections(gateway) == 1
            break

        async def is_gone() -> bool:
            return await open_connections(gateway) == 0

        await until(is_gone)
        await until(lambda: asyncio.all_tasks() == before)


async def test_a_loop_inside_a_with_can_be_resumed(gateway: Gateway) -> None:
    async with connected(gateway) as client:
        async with client.subscribe("backtest.again", on_gap="fail") as subscription:
            await client.publish_event(progress("again", 0.1))
            await client.publish_event(progress("again", 0.2))
            got = []
            for _ in range(2):
                async for event in subscription:
                    got.append(progress_of(event))
                    break
    assert got == [0.1, 0.2]
    assert subscription.state is SubscriptionState.CLOSED
    assert [event async for event in subscription] == []


async def test_closing_ends_a_loop_that_waits(gateway: Gateway) -> None:
    async with connected(gateway) as client:
        subscription = client.subscribe("backtest.quiet", on_gap="fail")

        async def consume() -> list[AnyEvent]:
            return [event async for event in subscription]

        consuming = asyncio.ensure_future(consume())
        await until(lambda: subscription.state is SubscriptionState.LIVE)
        await subscription.aclose()
        assert await consuming == []
        # Closing a client closes its subscriptions.
        other = client.subscribe("backtest.quiet", on_gap="fail")
        waiting = asyncio.ensure_future(anext(other, None))
        await until(lambda: other.state is SubscriptionState.LIVE)
    assert await waiting is None


async def test_closing_ends_an_attempt_to_connect() -> None:
    before = asyncio.all_tasks()
    async with deaf_server() as address, CourierClient(address, token="t1") as client:
        subscription = client.subscribe("backtest.b1", on_gap="fail")
        waiting = asyncio.ensure_future(anext(subscription, None))
        await until(lambda: subscription.state is SubscriptionState.CONNECTING)
        began = time.monotonic()
        await subscription.aclose()
        assert await waiting is None
        assert time.monotonic() - began < 1
        with pytest.raises(ClosedError):
            await subscription.__aenter__()
    await until(lambda: asyncio.all_tasks() == before)


async def test_cancelling_the_start_closes_the_connection() -> None:
    connections = 0

    async def serve(socket: websockets.ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await socket.wait_closed()
        connections -= 1

    async with websocket_server(serve) as address, CourierClient(address, token="t1") as client:
        before = asyncio.all_tasks()
        entering = asyncio.ensure_future(client.subscribe("backtest.b1", on_gap="fail").__aenter__())
        await until(lambda: connections == 1)
        entering.cancel()
        await asyncio.wait([entering])
        assert entering.cancelled()
        await until(lambda: connections == 0)
        await until(lambda: asyncio.all_tasks() <= before)


async def test_a_callback_may_close_the_subscription(scripted_server: ScriptedServer) -> None:
    async with scripted_server.play(GAP) as run, CourierClient(run.url, token="t1", retry=FAST) as client:

        async def on_gap(_gap: CourierGapData) -> None:
            await subscription.aclose()

        subscription = client.subscribe("backtest.b1", last_event_id="e1-3", on_gap=on_gap)
        assert [event async for event in subscription] == []


GAP = {
    "name": "gap",
    "why": "Events are missing.",
    "subscribe": {"channels": ["backtest.b1"], "last_event_id": "e1-3", "on_gap": "collect"},
    "connections": [
        {
            "expect": {"last_event_id": "e1-3"},
            "send": [
                {"gap": {"reason": "expired", "requested": "e1-3", "resumed_from": "e1-10"}},
                {"event": "e1-11"},
            ],
            "end": "stay",
        }
    ],
    "result": {"events": ["e1-11"], "ends": None},
}


async def test_a_gap_is_reported_before_the_next_event(scripted_server: ScriptedServer) -> None:
    told: list[str] = []
    async with scripted_server.play(GAP) as run, CourierClient(run.url, token="t1", retry=FAST) as client:

        async def on_gap(gap: CourierGapData) -> None:
            told.append(f"{gap.reason} {gap.requested} {subscription.last_event_id}")
            if len(told) == 1:
                # A cancellation during the callback makes it be called again.
                raise asyncio.CancelledError

        subscription = client.subscribe("backtest.b1", last_event_id="e1-3", on_gap=on_gap)
        with pytest.raises(asyncio.CancelledError):
            await anext(subscription)
        told.append((await anext(subscription)).id)
    assert told == ["expired e1-3 e1-3", "expired e1-3 e1-3", "e1-11"]


async def test_a_callback_that_fails_ends_the_subscription(scripted_server: ScriptedServer) -> None:
    def on_gap(_gap: CourierGapData) -> None:
        raise ValueError("mine")

    async with scripted_server.play(GAP) as run, CourierClient(run.url, token="t1", retry=FAST) as client:
        subscription = client.subscribe("backtest.b1", last_event_id="e1-3", on_gap=on_gap)
        with pytest.raises(ValueError, match="mine"):
            await anext(subscription)
        assert subscription.state is SubscriptionState.CLOSED


async def test_cancelled_waits_lose_no_event(gateway: Gateway) -> None:
    async with connected(gateway) as client:
        async with client.subscribe("backtest.vain", on_gap="fail") as subscription:
            got: list[float] = []
            for value in range(20):
                waiting = asyncio.ensure_future(anext(subscription))
                publishing = asyncio.ensure_future(client.publish_event(progress("vain", value / 100)))
                # Cancels the wait at another moment in each round.
                for _ in range(value):
                    await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.wait([waiting, publishing])
                if not waiting.cancelled():
                    got.append(progress_of(waiting.result()))
            while len(got) < 20:
                got.append(progress_of(await asyncio.wait_for(anext(subscription), 5)))
    assert got == [value / 100 for value in range(20)]


async def test_one_consumer_at_a_time(gateway: Gateway) -> None:
    async with connected(gateway) as client:
        async with client.subscribe("backtest.one", on_gap="fail") as subscription:
            waiting = asyncio.ensure_future(anext(subscription))
            await asyncio.sleep(0)
            with pytest.raises(InvalidInputError, match="one consumer"):
                await anext(subscription)
            await client.publish_event(progress("one", 0.5))
            assert progress_of(await waiting) == 0.5


def message(number: int, size: int) -> str:
    metadata = '{"timestamp":"2026-01-02T03:04:05Z","source":"s"}'
    data = f'{{"n":{number},"text":"{"x" * size}"}}'
    return f'{{"id":"e1-{number}","channel":"strategy.s1","type":"t.x","metadata":{metadata},"data":{data}}}'


async def test_a_slow_consumer_makes_the_sender_wait() -> None:
    size, total = 50_000, 3000
    sent = 0

    async def serve(socket: websockets.ServerConnection) -> None:
        nonlocal sent
        for number in range(1, total + 1):
            await socket.send(message(number, size))
            sent = number
        await socket.wait_closed()

    async with websocket_server(serve) as address, CourierClient(address, token="t1", retry=FAST) as client:
        async with client.subscribe("**", on_gap="fail") as subscription:
            await anext(subscription)
            await at_rest(lambda: sent)
            # The buffers of the client and the kernel are bounded.
            assert sent * size < 60e6
            numbers = [1]
            while numbers[-1] < total:
                event = await anext(subscription)
                numbers.append(int(event.id.removeprefix("e1-")))
    assert numbers == list(range(1, total + 1))


async def test_leaving_a_backlog_takes_no_time() -> None:
    closed: list[int | None] = []
    sent = 0

    async def serve(socket: websockets.ServerConnection) -> None:
        nonlocal sent
        try:
            for number in range(1, 100_000):
                await socket.send(message(number, 10_000))
                sent = number
        finally:
            await socket.wait_closed()
            closed.append(socket.close_code)

    async with websocket_server(serve) as address, CourierClient(address, token="t1", retry=FAST) as client:
        async with client.subscribe("**", on_gap="fail") as subscription:
            await anext(subscription)
            await at_rest(lambda: sent)
            began = time.monotonic()
        # Without reading the messages on their way, closing would last until the timeout of a second.
        assert time.monotonic() - began < 0.9
        await until(lambda: len(closed) == 1)
