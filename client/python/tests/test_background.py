"""Publishing in the background."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import datetime, timezone
from typing import Any

import pytest

from conftest import FAST
from courier_client import (
    BackgroundPublisher,
    ClosedError,
    CourierClient,
    EventDraft,
    ForbiddenError,
    InvalidInputError,
    SyncCourierClient,
    UnauthorizedError,
    UnreachableError,
    events,
)
from processes import Gateway, token
from servers import batch_gateway, free_port, tcp_server
from submitting import counters, numbers_on, progress, publisher

PROGRESS: events.BacktestProgressDict = {"backtest_id": "b1", "progress": 0.5}
Told = list[tuple[type[Exception], Any]]


async def test_everything_is_published_in_order(gateway: Gateway) -> None:
    async with publisher(gateway.url, gateway.token()) as background:
        for number in range(50):
            background.submit_event(progress("order", number))
        assert counters(background) == {"submitted": 50, "pending": 50}
        assert await background.flush(10)
        assert counters(background) == {"submitted": 50, "published": 50}
        background.submit("backtest.order", "backtest.progress", progress("order", 50).data)
    # Closing waits for pending events.
    assert counters(background) == {"submitted": 51, "published": 51}
    assert await numbers_on(gateway, "backtest.order") == [*range(51)]


async def test_a_gateway_that_is_away_slows_nothing_and_loses_nothing() -> None:
    port = free_port()
    async with publisher(f"http://127.0.0.1:{port}", token("cartographe", "service")) as background:
        began = time.monotonic()
        for number in range(100):
            background.submit_event(progress("away", number))
        assert time.monotonic() - began < 1
        assert not await background.flush(0.05)
        happened = datetime.now(timezone.utc)
        with Gateway(port=port) as gateway:
            assert await background.flush(20)
            assert counters(background) == {"submitted": 100, "published": 100}
            assert await numbers_on(gateway, "backtest.away") == [*range(100)]
            async with CourierClient(gateway.url, token=gateway.token()) as client:
                (first, *_) = (await client.history("backtest.away")).events
            # The timestamp is the time of submitting.
            assert first.metadata.timestamp < happened


async def test_a_refused_event_does_not_delay_the_others(gateway: Gateway) -> None:
    told: Told = []
    async with publisher(
        gateway.url, gateway.token(), on_error=lambda error, event: told.append((type(error), event.channel))
    ) as background:
        background.submit("backtest.refused", "backtest.progress", {"backtest_id": "refused", "progress": 2})
        background.submit_event(EventDraft("backtest.cyclic", "backtest.progress", {"anything": object()}))
        naive = datetime(2026, 1, 2)  # noqa: DTZ001 (the fault under test)
        background.submit("backtest.naive", "backtest.progress", PROGRESS, timestamp=naive)
        background.submit_event(None)  # type: ignore[arg-type]
        background.submit_event(progress("refused", 1))
        assert await background.flush(10)
        assert counters(background) == {"submitted": 5, "published": 1, "refused": 4}
    assert [
        (InvalidInputError, channel) for channel in ("backtest.cyclic", "backtest.naive", "backtest.refused")
    ] == told
    async with publisher(
        gateway.url, "wrong", on_error=lambda error, _: told.append((type(error), None))
    ) as background:
        background.submit_event(progress("refused", 2))
        assert await background.flush(10)
    assert told[-1] == (UnauthorizedError, None)


async def test_a_channel_that_there_is_not_is_refused() -> None:
    told: list[str] = []
    async with publisher("http://127.0.0.1:1", "t1", on_error=lambda error, _: told.append(str(error))) as background:
        background.submit("nowhere.x", "backtest.progress", PROGRESS)
        assert await background.flush(10)
        assert counters(background) == {"submitted": 1, "refused": 1}
    assert "backtest.{id}" in told[0]


async def test_a_misspelt_choice_is_refused() -> None:
    async with CourierClient("http://127.0.0.1:1", token="t1") as client:
        with pytest.raises(InvalidInputError, match=r"^when_full must be 'drop-oldest' or 'drop-newest', not 'drop'"):
            BackgroundPublisher(client, when_full="drop")  # type: ignore[arg-type]


async def test_later_changes_of_submitted_data_have_no_effect(gateway: Gateway) -> None:
    async with publisher(gateway.url, gateway.token()) as background:
        data: events.BacktestProgressDict = {"backtest_id": "mutable", "progress": 0.5, "bars_processed": 1}
        background.submit("backtest.mutable", "backtest.progress", data)
        data["bars_processed"] = 2
        assert await background.flush(10)
    assert await numbers_on(gateway, "backtest.mutable") == [1]


async def test_any_thread_may_submit(gateway: Gateway) -> None:
    async with publisher(gateway.url, gateway.token()) as background:

        def work() -> None:
            for number in range(20):
                background.submit_event(progress("thread", number))

        await asyncio.to_thread(work)
        assert await background.flush(10)
    assert await numbers_on(gateway, "backtest.thread") == [*range(20)]


def test_events_submitted_after_closing_are_counted() -> None:
    async def main() -> BackgroundPublisher:
        async with CourierClient("http://127.0.0.1:1", token="t1") as client:
            async with BackgroundPublisher(client) as background:
                pass
            background.submit_event(progress("late", 1))
            return background

    background = asyncio.run(main())
    assert counters(background) == {"submitted": 1, "dropped": 1}
    background.submit_event(progress("late", 2))
    assert counters(background) == {"submitted": 2, "dropped": 2}


def test_every_event_that_is_lost_with_its_event_loop_is_told() -> None:
    told: Told = []

    async def main() -> BackgroundPublisher:
        client = CourierClient("http://127.0.0.1:1", token="t1")
        background = BackgroundPublisher(
            client, on_error=lambda error, event: told.append((type(error), event.data["bars_processed"]))
        )
        # The event loop ends before the publisher has done anything.
        background.submit_event(progress("lost", 1))
        return background

    background = asyncio.run(main())
    assert told == [(ClosedError, 1)]

    async def submit() -> None:
        background.submit_event(progress("lost", 2))
        assert await background.flush()
        await background.aclose()

    asyncio.run(submit())
    background.submit_event(progress("lost", 3))
    assert told == [(ClosedError, 1), (ClosedError, 2), (ClosedError, 3)]
    assert counters(background) == {"submitted": 3, "dropped": 3}


async def test_closing_leaves_no_task_or_thread(gateway: Gateway) -> None:
    tasks, threads = asyncio.all_tasks(), threading.active_count()
    async with publisher(gateway.url, gateway.token()) as background:
        background.submit_event(progress("nothing", 1))
    assert asyncio.all_tasks() == tasks
    assert threading.active_count() == threads


async def test_what_waits_is_sent_in_batches() -> None:
    sizes: list[int] = []
    async with (
        batch_gateway(lambda batch: sizes.append(len(batch))) as address,
        publisher(address, "t1", max_events=2000) as background,
    ):
        for number in range(1200):
            background.submit_event(progress("many", number))
        assert await background.flush(10)
        assert background.published == 1200
    assert sizes == [500, 500, 200]


async def test_large_events_are_sent_in_smaller_batches(gateway: Gateway) -> None:
    async with publisher(gateway.url, gateway.token("prophet"), timeout=30) as background:
        for number in range(40):
            background.submit(
                "strategy.large",
                "strategy.generation.started",
                {"strategy_id": "large", "name": f"s{number}", "parameters": {"text": "x" * 90_000}},
            )
        assert await background.flush(30)
        assert counters(background) == {"submitted": 40, "published": 40}
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        stored = [event.model_dump()["data"]["name"] async for event in client.iterate_history("strategy.large")]
    assert stored == [f"s{number}" for number in range(40)]


async def test_a_refused_event_takes_no_other_with_it(gateway: Gateway) -> None:
    told: list[int] = []
    wrong = {0, 7, 8, 250, 599}

    def on_error(error: Exception, event: EventDraft[Any]) -> None:
        assert isinstance(error, InvalidInputError)
        assert [issue.path for issue in error.issues] == ["data.progress"]
        told.append(event.data["bars_processed"])

    async with publisher(gateway.url, gateway.token(), on_error=on_error) as background:
        for number in range(600):
            data = {"backtest_id": "wrong", "progress": 2 if number in wrong else 0.5, "bars_processed": number}
            background.submit_event(EventDraft("backtest.wrong", "backtest.progress", data))
        assert await background.flush(30)
        assert counters(background) == {"submitted": 600, "published": 595, "refused": 5}
    assert told == sorted(wrong)
    assert await numbers_on(gateway, "backtest.wrong") == [number for number in range(600) if number not in wrong]


@pytest.mark.parametrize("how", ["background", "synchronous"])
async def test_a_refusal_after_a_lost_answer_says_that_the_event_may_be_stored(how: str) -> None:
    answers = iter(
        (
            b"",
            b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        )
    )

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(next(answers))
        await writer.drain()

    told: list[Exception] = []
    async with tcp_server(serve) as address:
        if how == "background":
            async with publisher(address, "t1", on_error=lambda error, _: told.append(error)) as background:
                background.submit_event(progress("unknown", 1))
                assert await background.flush(10)
        else:
            with SyncCourierClient(address, token="t1", retry=FAST) as client:
                try:
                    await asyncio.to_thread(client.publish_event, progress("unknown", 1))
                except ForbiddenError as error:
                    told.append(error)
    (refusal,) = told
    assert isinstance(refusal, ForbiddenError)
    assert refusal.may_be_stored
    assert "may have been stored" in refusal.message


async def test_a_batch_beyond_a_limit_is_sent_in_parts(gateway: Gateway) -> None:
    # Users may publish once a second here: no batch of two can ever pass.
    user = gateway.token("parts", "user", publish=["backtest.parts"])
    async with CourierClient(gateway.url, token=user) as client, BackgroundPublisher(client, retry=FAST) as background:
        for number in range(3):
            background.submit_event(progress("parts", number))
        assert await background.flush(30)
        assert counters(background) == {"submitted": 3, "published": 3}
    assert await numbers_on(gateway, "backtest.parts") == [0, 1, 2]


async def test_publishes_and_submitted_events_keep_one_order(gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token()) as client, BackgroundPublisher(client) as background:
        publishing: list[asyncio.Future[Any]] = []
        for number in range(0, 60, 3):
            background.submit_event(progress("mixed", number))
            background.submit_event(progress("mixed", number + 1))
            publishing.append(asyncio.ensure_future(client.publish_event(progress("mixed", number + 2))))
            await asyncio.sleep(0)
        await asyncio.gather(*publishing)
        assert await background.flush(10)
    assert await numbers_on(gateway, "backtest.mixed") == [*range(60)]


async def test_a_publish_waits_for_what_was_submitted_while_the_gateway_is_away() -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    async with CourierClient(address, token=token("cartographe", "service"), retry=FAST) as client:
        async with BackgroundPublisher(client, retry=FAST) as background:
            background.submit_event(progress("late", 0))
            with pytest.raises(UnreachableError):
                await client.publish_event(progress("late", 9), timeout=0.05)
            # A publish on another channel waits for the gateway only, and a batch for its last channel too.
            batch = asyncio.ensure_future(client.publish_batch([progress("other", 0), progress("late", 1)]))
            await asyncio.sleep(0)
            background.submit_event(progress("late", 2))
            with Gateway(port=port) as gateway:
                await batch
                assert await background.flush(20)
                assert await numbers_on(gateway, "backtest.late") == [0, 1, 2]
