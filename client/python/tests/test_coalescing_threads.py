"""Publishes of threads that share a client: those that are made while one is on its way go together."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from courier_client import (
    ClosedError,
    CourierTimeoutError,
    EventDraft,
    InvalidInputError,
    Receipt,
    SyncCourierClient,
    UnreachableError,
)
from holding import Threads
from processes import Gateway
from submitting import numbers_on, progress
from waiting import until


async def test_publishes_of_threads_at_once_are_two_calls() -> None:
    server = Threads()
    async with server.used(attempt_timeout=None):
        first = await server.held()
        others = [server.publish(number) for number in range(1, 40)]
        # After a second, nobody waits any longer for the call that hangs.
        await until(lambda: len(server.calls) == 2)
        server.release.set()
        receipts = await asyncio.gather(first, *others)
        await server.publish(40)
    together = [number for call in server.calls[1:-1] for number in call]
    assert sorted(together) == [*range(1, 40)]
    assert len(server.calls) < 10
    assert server.calls[-1] == [40]
    assert len(receipts) == 40


async def test_each_thread_gets_the_outcome_of_its_event(gateway: Gateway) -> None:
    def publish(number: int) -> Receipt | list[str]:
        data = {"backtest_id": "outcomes", "progress": 2 if number % 3 == 0 else 0.5, "bars_processed": number}
        try:
            return client.publish_event(EventDraft("backtest.outcomes", "backtest.progress", data))
        except InvalidInputError as error:
            return [issue.path for issue in error.issues]

    with SyncCourierClient(gateway.url, token=gateway.token()) as client, ThreadPoolExecutor(16) as pool:
        outcomes = await asyncio.to_thread(lambda: [*pool.map(publish, range(300))])
        stored = {event.id: event.model_dump()["data"]["bars_processed"] for event in pages(client)}
    assert [outcome for outcome in outcomes if isinstance(outcome, list)] == [["data.progress"]] * 100
    told = {outcome.id: number for number, outcome in enumerate(outcomes) if isinstance(outcome, Receipt)}
    assert told == stored


def pages(client: SyncCourierClient) -> Any:
    return client.iterate_history("backtest.outcomes", page_size=1000)


async def test_a_thread_that_gives_up_while_it_waits_sends_nothing() -> None:
    server = Threads()
    async with server.used():
        first = await server.held()
        given_up = server.publish(1, timeout=0.05)
        with pytest.raises(UnreachableError, match=r"not sent within 0\.05 s, as the publishes before it") as caught:
            await given_up
        assert not caught.value.may_be_stored
        other = server.publish(2)
        server.release.set()
        await asyncio.gather(first, other)
    assert server.calls == [[0], [2]]


async def test_a_thread_that_gives_up_on_the_way_leaves_the_others() -> None:
    server = Threads()
    async with server.used():
        first = await server.held()
        # The one with the shorter time does not send the call for both, although it comes first.
        given_up, other = server.publish(1, timeout=2.5), server.publish(2)
        await until(lambda: len(server.calls) == 2)
        with pytest.raises(CourierTimeoutError) as caught:
            await given_up
        assert caught.value.may_be_stored
        server.release.set()
        await asyncio.gather(first, other)
    assert [*map(sorted, server.calls)] == [[0], [1, 2]]


async def test_closing_cuts_off_threads_that_wait() -> None:
    server = Threads()
    async with server.used() as client:
        first = await server.held()
        others = [server.publish(number) for number in (1, 2)]
        await asyncio.to_thread(client.close, 0.05)
        outcomes = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ClosedError] * 3
    assert outcomes[0].may_be_stored  # type: ignore[union-attr]


async def test_events_of_one_thread_keep_their_order(gateway: Gateway) -> None:
    def work(thread: int) -> None:
        for number in range(20):
            client.publish_event(progress("turns", thread * 100 + number))

    with SyncCourierClient(gateway.url, token=gateway.token()) as client, ThreadPoolExecutor(8) as pool:
        await asyncio.to_thread(lambda: [*pool.map(work, range(8))])
    stored = await numbers_on(gateway, "backtest.turns")
    assert len(stored) == 160
    for thread in range(8):
        own = [number for number in stored if number // 100 == thread]
        assert own == sorted(own)
