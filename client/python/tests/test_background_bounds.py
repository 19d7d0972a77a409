"""What a background publisher drops when more events would wait than may."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from courier_client import ClosedError, EventDraft, InvalidInputError, QueueFullError
from processes import Gateway
from servers import batch_gateway, deaf_server
from submitting import counters, numbers_on, progress, publisher
from waiting import until

Told = list[tuple[type[Exception], Any]]


@pytest.mark.parametrize(("when_full", "kept"), [("drop-oldest", [7, 8, 9]), ("drop-newest", [0, 1, 2])])
async def test_a_full_queue_drops_events_and_reports_them(when_full: str, kept: list[int]) -> None:
    told: Told = []

    def on_error(error: Exception, event: EventDraft[Any]) -> None:
        told.append((type(error), event.data["bars_processed"]))
        raise ValueError("a callback that fails breaks nothing")

    async with deaf_server() as address:
        async with publisher(address, "t1", max_events=3, when_full=when_full, on_error=on_error) as background:
            for number in range(10):
                background.submit_event(progress("full", number))
            assert counters(background) == {"submitted": 10, "dropped": 7, "pending": 3}
            assert {number for _, number in told} == {*range(10)} - {*kept}
            assert {kind for kind, _ in told} == {QueueFullError}
            began = time.monotonic()
            await background.aclose(timeout=0.1)
            assert time.monotonic() - began < 2
        assert counters(background) == {"submitted": 10, "dropped": 10}
        assert told[7:] == [(ClosedError, number) for number in kept]


def text_event(number: int, characters: int) -> EventDraft[Any]:
    return EventDraft(
        "strategy.s1", "strategy.generation.started", {"strategy_id": str(number), "name": "x" * characters}
    )


@pytest.mark.parametrize(("when_full", "kept"), [("drop-oldest", [2, 4]), ("drop-newest", [0, 1, 4])])
async def test_the_bytes_that_wait_have_a_bound(when_full: Any, kept: list[int]) -> None:
    told: list[tuple[int, str]] = []

    def on_error(error: Exception, event: EventDraft[Any]) -> None:
        if isinstance(error, QueueFullError):
            told.append((int(event.data["strategy_id"]), error.hint))

    async with deaf_server() as address:
        async with publisher(
            address, "t1", max_queued_bytes=3000, when_full=when_full, on_error=on_error
        ) as background:
            # The event of 4000 characters does not fit even alone, and takes no other with it.
            for number, characters in enumerate((1000, 1000, 2000, 4000, 1)):
                background.submit_event(text_event(number, characters))
            assert counters(background) == {"submitted": 5, "dropped": 5 - len(kept), "pending": len(kept)}
            assert {number for number, _ in told} == {*range(5)} - {*kept}
            assert all("max_queued_bytes" in hint for _, hint in told)
            await background.aclose(timeout=0)


async def test_an_event_that_does_not_fit_leaves_nothing_to_wait_for() -> None:
    async with publisher("http://127.0.0.1:1", "t1", max_queued_bytes=3000) as background:
        assert await background.flush(10)
        background.submit_event(text_event(0, 4000))
        assert await background.flush(10)
        assert counters(background) == {"submitted": 1, "dropped": 1}


async def test_what_is_published_leaves_room_for_others() -> None:
    async with batch_gateway(lambda _: None) as address:
        async with publisher(address, "t1", max_queued_bytes=1500) as background:
            for number in range(5):
                background.submit_event(text_event(number, 1000))
                assert await background.flush(10)
            assert counters(background) == {"submitted": 5, "published": 5}


async def test_a_refused_batch_is_neither_dropped_nor_makes_the_queue_longer(gateway: Gateway) -> None:
    told: list[tuple[str, int]] = []

    def submit(*numbers: int) -> None:
        for number in numbers:
            data = {"backtest_id": "bound", "progress": 2 if number == 0 else 0.5, "bars_processed": number}
            background.submit_event(EventDraft("backtest.bound", "backtest.progress", data))

    def on_error(error: Exception, event: EventDraft[Any]) -> None:
        told.append((type(error).__name__, event.data["bars_processed"]))
        if isinstance(error, InvalidInputError):
            # The first of the batch was refused, the second is still to be published, and the queue is full.
            submit(4)

    async with publisher(gateway.url, gateway.token(), max_events=2, on_error=on_error) as background:
        submit(0, 1)
        # The publisher takes both for one batch.
        await asyncio.sleep(0)
        submit(2, 3)
        await until(lambda: background.refused == 1)
        assert await background.flush(10)
        assert counters(background) == {"submitted": 5, "published": 3, "dropped": 1, "refused": 1}
    assert told == [("InvalidInputError", 0), ("QueueFullError", 2)]
    assert await numbers_on(gateway, "backtest.bound") == [1, 3, 4]
