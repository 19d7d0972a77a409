"""What is said of publishes that are given up at any moment of their way: that it is true of each."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from courier_client import CourierClient, CourierError, SyncCourierClient
from processes import Gateway
from submitting import numbers_on, progress
from waiting import until

PUBLISHES = 400


class Said:
    """What callers were told, by the numbers of their events."""

    def __init__(self) -> None:
        self.stored: set[int] = set()
        self.not_stored: set[int] = set()
        self.in_doubt: set[int] = set()

    def fail(self, number: int, error: CourierError) -> None:
        (self.in_doubt if error.may_be_stored else self.not_stored).add(number)


def expect(said: Said, stored: list[int]) -> None:
    assert len(stored) == len({*stored})
    assert said.stored <= {*stored}
    assert said.not_stored.isdisjoint(stored)
    assert len(said.stored) + len(said.not_stored) + len(said.in_doubt) == PUBLISHES
    # Otherwise nothing was tested.
    assert said.stored
    assert said.not_stored


async def settled(gateway: Gateway, channel: str) -> list[int]:
    """What is stored once nothing more comes: what was given up on its way may come late."""
    stored: list[int] = []

    async def is_the_same() -> bool:
        nonlocal stored
        before, stored = stored, await numbers_on(gateway, channel)
        return before == stored

    await until(is_the_same)
    return stored


async def test_what_tasks_are_told_is_true(gateway: Gateway) -> None:
    said = Said()

    async def publish(number: int) -> None:
        try:
            await client.publish_event(progress("exact-tasks", number), timeout=random.uniform(0, 0.1))
            said.stored.add(number)
        except CourierError as error:
            said.fail(number, error)

    async with CourierClient(gateway.url, token=gateway.token()) as client:
        for first in range(0, PUBLISHES, 100):
            await asyncio.gather(*map(publish, range(first, first + 100)))
    expect(said, await settled(gateway, "backtest.exact-tasks"))


@pytest.mark.parametrize("threads", [4, 32])
async def test_what_threads_are_told_is_true(gateway: Gateway, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing goes only because it has waited for long.
    monkeypatch.setattr("courier_client._sync_coalescer.PATIENCE_SECONDS", 1000)
    said = Said()
    channel = f"exact-threads{threads}"

    def publish(number: int) -> None:
        try:
            client.publish_event(progress(channel, number), timeout=random.uniform(0, 0.02))
            said.stored.add(number)
        except CourierError as error:
            said.fail(number, error)

    with SyncCourierClient(gateway.url, token=gateway.token()) as client, ThreadPoolExecutor(threads) as pool:
        await asyncio.to_thread(lambda: [*pool.map(publish, range(PUBLISHES))])
        # Whoever leaves last leaves the way free.
        client.publish_event(progress(f"{channel}-after", 0), timeout=5)
    expect(said, await settled(gateway, f"backtest.{channel}"))
