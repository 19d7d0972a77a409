"""A subscriber whose gateway is killed under load receives every acknowledged event once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import count

from conftest import FAST
from courier_client import CourierClient, events
from processes import Gateway, token
from servers import free_port
from waiting import until

KILLS = 3
EVENTS_BETWEEN_KILLS = 60
PUBLISHERS = 4


async def test_nothing_is_lost_or_repeated(start_gateway: Callable[..., Gateway]) -> None:
    port = free_port()
    gateway = start_gateway(port=port)
    acknowledged: list[str] = []
    received: list[str] = []
    numbers = count()
    stopped = False

    async def publish(client: CourierClient) -> None:
        while not stopped:
            draft = events.backtest_progress(backtest_id="b1", progress=0.5, bars_processed=next(numbers))
            acknowledged.append((await client.publish_event(draft)).id)

    async def subscribe(client: CourierClient) -> None:
        async with client.subscribe("backtest.*", from_="earliest", on_gap="fail") as subscription:
            async for event in subscription:
                assert isinstance(event, events.BacktestProgressEvent)
                received.append(event.id)

    def are_more_than(number: int) -> bool:
        return min(len(acknowledged), len(received)) > number

    async with CourierClient(f"http://127.0.0.1:{port}", token=token("cartographe", "service"), retry=FAST) as client:
        consuming = asyncio.ensure_future(subscribe(client))
        publishing = [asyncio.ensure_future(publish(client)) for _ in range(PUBLISHERS)]
        for kill in range(1, KILLS + 1):
            await until(partial(are_more_than, kill * EVENTS_BETWEEN_KILLS))
            gateway.kill()
            gateway = start_gateway(port=port)
        stopped = True
        await asyncio.gather(*publishing)
        stored = [event.id async for event in client.iterate_history("backtest.*", page_size=1000)]
        await until(lambda: len(received) >= len(stored))
    await consuming
    assert received == stored
    # Each publish has an acknowledgement of its own, though some were stored before the kill and acknowledged after it.
    assert sorted(acknowledged) == sorted(stored)
    assert len(set(stored)) == next(numbers)
