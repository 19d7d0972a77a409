"""Clients in several processes and event loops: each has connections of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from courier_client import (
    BackgroundPublisher,
    ClosedError,
    CourierClient,
    EventDraft,
    FileCursor,
    SyncCourierClient,
    events,
)
from processes import Gateway
from waiting import until

PROCESSES = 4
EACH = 40

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def draft(channel: str, process: int, number: int) -> EventDraft[Any]:
    return events.backtest_progress(
        backtest_id=channel,
        progress=0.5,
        bars_processed=process * 1000 + number,
        idempotency_key=f"{channel}-{process}-{number}",
    )


def forked(work: Any) -> int:
    """Runs `work` in a child process. Returns its id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException:  # noqa: BLE001 (the parent must hear of everything)
        import traceback  # noqa: PLC0415 (only a child that fails needs it)

        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def wait_for(children: list[int]) -> None:
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert ended == [0] * len(children)


def stored(gateway: Gateway, channel: str) -> list[int]:
    with SyncCourierClient(gateway.url, token=gateway.token()) as client:
        read = client.iterate_history(f"backtest.{channel}", page_size=1000)
        return [event.model_dump()["data"]["bars_processed"] for event in read]


def expect_all(gateway: Gateway, channel: str, processes: int) -> None:
    """Every event is there once, and those of a process are in order."""
    numbers = stored(gateway, channel)
    assert sorted(numbers) == sorted(process * 1000 + n for process in range(processes) for n in range(EACH))
    for process in range(processes):
        own = [number for number in numbers if number // 1000 == process]
        assert own == sorted(own)


def test_a_synchronous_client_in_pre_forked_workers(gateway: Gateway) -> None:
    with SyncCourierClient(gateway.url, token=gateway.token()) as client:
        # The parent has a connection, which its children must not use.
        client.history("backtest.prefork")

        def work(process: int) -> None:
            for number in range(EACH):
                receipt = client.publish_event(draft("prefork", process, number))
                assert (receipt.channel, receipt.duplicate) == ("backtest.prefork", False)

        children = [forked(lambda process=process: work(process)) for process in range(1, PROCESSES)]
        work(0)
        wait_for(children)
    expect_all(gateway, "prefork", PROCESSES)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_the_state_of_a_synchronous_client_after_a_fork(gateway: Gateway) -> None:
    with SyncCourierClient(gateway.url, token=gateway.token) as client:
        client.publish_event(draft("watched", 0, 0))
        backtests = client.state("backtest.watched", "backtest")
        backtests.ready()

        def work() -> None:
            assert [item.key for item in backtests] == ["watched"]
            with pytest.raises(ClosedError):
                next(backtests.changes())
            with client.state("backtest.watched", "backtest") as others:
                assert next(others.changes()).key == "watched"
            client.close()

        wait_for([forked(work)])
        client.publish_event(draft("watched", 0, 1))
        assert next(backtests.changes()).key == "watched"


async def test_an_asynchronous_client_after_a_fork(gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        await client.history("backtest.forked")
        subscription = client.subscribe("backtest.forked")
        async with subscription, BackgroundPublisher(client) as background:

            async def publish(process: int) -> None:
                for number in range(EACH):
                    await client.publish_event(draft("forked", process, number))

            children = [
                forked(lambda process=process: asyncio.run(publish(process))) for process in range(1, PROCESSES)
            ]
            await publish(0)
            await asyncio.to_thread(wait_for, children)
            background.submit_event(draft("submitted", 0, 0))
            assert await background.flush()
            # The children have not used the parent's connection, nor closed it.
            got = [await anext(subscription) for _ in range(PROCESSES * EACH)]
    assert len({event.id for event in got}) == PROCESSES * EACH
    expect_all(gateway, "forked", PROCESSES)


async def test_a_background_publisher_after_a_fork(gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token()) as client, BackgroundPublisher(client) as background:
        background.submit_event(draft("background", 0, 0))

        async def work(process: int) -> None:
            for number in range(EACH):
                background.submit_event(draft("background", process, number))
            assert await background.flush(30)
            # What waited in the parent is the parent's.
            assert (background.submitted, background.published, background.pending) == (EACH, EACH, 0)
            await background.aclose()

        children = [forked(lambda process=process: asyncio.run(work(process))) for process in range(1, PROCESSES)]
        for number in range(1, EACH):
            background.submit_event(draft("background", 0, number))
        assert await background.flush(30)
        await asyncio.to_thread(wait_for, children)
        assert background.published == EACH
    expect_all(gateway, "background", PROCESSES)


async def test_a_background_publisher_without_an_event_loop_counts_what_is_lost(gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token()) as client, BackgroundPublisher(client) as background:

        def work() -> None:
            background.submit_event(draft("lost", 1, 1))
            assert (background.submitted, background.dropped) == (1, 1)

        await asyncio.to_thread(wait_for, [forked(work)])
        assert background.submitted == 0


async def test_submitting_after_a_fork_to_a_client_that_is_closed_drops(gateway: Gateway) -> None:
    told: list[str] = []
    async with (
        CourierClient(gateway.url, token=gateway.token()) as client,
        BackgroundPublisher(client, on_error=lambda error, _: told.append(type(error).__name__)) as background,
    ):

        async def work() -> None:
            await client.aclose()
            for number in range(2):
                background.submit_event(draft("closed", 1, number))
            assert (background.submitted, background.dropped, told) == (2, 2, ["ClosedError"] * 2)
            assert await background.flush()
            await background.aclose()

        await asyncio.to_thread(wait_for, [forked(lambda: asyncio.run(work()))])


async def test_a_cursor_after_a_fork(tmp_path: Path) -> None:
    cursor = FileCursor(tmp_path / "position", sync_every=None)
    await cursor.save("e1-1")

    async def work() -> None:
        # What the parent has not synced is not for the child to write: the parent has come further.
        async def has_moved() -> bool:
            return await cursor.load() == "e1-2"

        await until(has_moved)
        await cursor.flush()
        assert await cursor.load() == "e1-2"

    child = forked(lambda: asyncio.run(work()))
    await cursor.save("e1-2")
    await asyncio.to_thread(wait_for, [child])


async def test_a_subscription_after_a_fork(gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        receipts = [await client.publish_event(draft("inherited", 0, number)) for number in range(3)]
        async with client.subscribe("backtest.inherited", from_="earliest") as subscription:
            assert (await anext(subscription)).id == receipts[0].id
            assert (await anext(subscription)).id == receipts[1].id

            async def work() -> None:
                assert (await anext(subscription)).id == receipts[2].id

            await asyncio.to_thread(wait_for, [forked(lambda: asyncio.run(work()))])
            assert (await anext(subscription)).id == receipts[2].id


CLIENT: dict[str, SyncCourierClient] = {}


def publish_in_pool(number: int) -> str:
    return CLIENT["shared"].publish_event(draft("pool", 0, number)).id


def test_multiprocessing_with_fork(gateway: Gateway) -> None:
    with SyncCourierClient(gateway.url, token=gateway.token()) as client:
        CLIENT["shared"] = client
        client.history("backtest.pool")
        with multiprocessing.get_context("fork").Pool(PROCESSES) as pool:
            ids = pool.map(publish_in_pool, range(EACH))
            pool.close()
            pool.join()
    assert len({*ids}) == EACH
    assert sorted(stored(gateway, "pool")) == [*range(EACH)]


def test_a_fork_while_another_thread_holds_the_locks(gateway: Gateway) -> None:
    parent = os.getpid()
    asked, forked_meanwhile = threading.Event(), threading.Event()

    def slow() -> str:
        if os.getpid() == parent:
            asked.set()
            forked_meanwhile.wait(30)
        return gateway.token()

    async def main() -> None:
        with SyncCourierClient(gateway.url, token=slow) as client:
            asking = asyncio.ensure_future(asyncio.to_thread(client.publish_event, draft("locks", 0, 0)))
            assert await asyncio.to_thread(asked.wait, 30)
            child = forked(lambda: client.publish_event(draft("locks", 1, 0)))
            forked_meanwhile.set()
            await asyncio.to_thread(wait_for, [child])
            await asking

    asyncio.run(main())
    assert sorted(stored(gateway, "locks")) == [0, 1000]


def test_one_client_in_several_event_loops(gateway: Gateway) -> None:
    client = CourierClient(gateway.url, token=gateway.token())

    async def publish(number: int) -> None:
        await asyncio.gather(*(client.publish_event(draft("loops", number, n)) for n in range(3)))
        async with client.subscribe("backtest.loops", from_="earliest") as subscription:
            assert len([await anext(subscription) for _ in range(3 * number + 3)]) == 3 * number + 3

    for number in range(3):
        asyncio.run(publish(number))
    asyncio.run(client.aclose())
    assert len(stored(gateway, "loops")) == 9


async def test_one_client_in_event_loops_at_the_same_time(gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token()) as client:

        async def publish(process: int) -> None:
            for number in range(EACH):
                await client.publish_event(draft("threads", process, number))

        threads = [asyncio.to_thread(asyncio.run, publish(process)) for process in range(1, 3)]
        await asyncio.gather(publish(0), *threads)
    expect_all(gateway, "threads", 3)
