"""Publishing in the background where one channel cannot go on: the others do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from conftest import FAST
from courier_client import (
    BackgroundPublisher,
    ClosedError,
    CourierClient,
    EventDraft,
    InvalidInputError,
    QueueFullError,
    RateLimitedError,
)
from processes import Gateway
from servers import batch_gateway
from submitting import progress
from waiting import until

LIMITS = '{"channels": {"backtest.full": {"publishPerSecond": null, "publishPerMinute": 2}}}'


def numbers(batch: list[Any], channel: str) -> list[int]:
    return [event["data"]["bars_processed"] for event in batch if event["channel"] == channel]


def limit_of(channel: str, retry_after: float) -> dict[str, Any]:
    message = f"publish: the limit of the channel {channel} is reached"
    problem = {"code": "TOO_MANY_REQUESTS", "detail": message, "channel": channel}
    return {**problem, "retry_after_ms": retry_after * 1000}


async def test_a_channel_whose_limit_is_reached_does_not_stop_the_others() -> None:
    lost: list[tuple[str, int, bool]] = []

    def on_error(error: Exception, event: EventDraft[Any]) -> None:
        assert isinstance(error, ClosedError)
        lost.append((event.channel, event.data["bars_processed"], error.may_be_stored))

    with Gateway(COURIER_LIMITS=LIMITS) as gateway:
        async with CourierClient(gateway.url, token=gateway.token()) as client:
            async with BackgroundPublisher(client, retry=FAST, on_error=on_error) as background:
                for number in range(2):
                    background.submit_event(progress("full", number))
                assert await background.flush(10)
                for number in range(100):
                    background.submit_event(progress("full", number + 2))
                    background.submit_event(progress("free", number))
                await until(lambda: background.published == 102)
                # The channel rests: what comes to others is published at once.
                background.submit_event(progress("other", 0))
                await until(lambda: background.published == 103)
                assert background.pending == 100
                await background.aclose(timeout=0)
            stored = [event.model_dump()["data"] async for event in client.iterate_history("backtest.*")]
            with pytest.raises(RateLimitedError) as refused:
                await client.publish_event(progress("full", 2), timeout=1)
            assert refused.value.channel == "backtest.full"
            with pytest.raises(RateLimitedError) as refused:
                await client.publish_batch([progress("free", 2), progress("full", 2)], timeout=1)
            assert refused.value.channel == "backtest.full"
    assert [data["bars_processed"] for data in stored if data["backtest_id"] == "full"] == [0, 1]
    assert [data["bars_processed"] for data in stored if data["backtest_id"] == "free"] == [*range(100)]
    assert lost == [("backtest.full", number + 2, False) for number in range(100)]


async def test_a_channel_that_rested_goes_on_in_its_order_with_its_keys() -> None:
    full = True
    refused: list[list[Any]] = []
    taken: list[Any] = []

    def refusal(batch: list[Any]) -> Any:
        if full and numbers(batch, "backtest.full"):
            refused.append(batch)
            return limit_of("backtest.full", 0.05)
        taken.extend(batch)
        return None

    async with batch_gateway(refusal) as address, CourierClient(address, token="t1") as client:
        async with BackgroundPublisher(client, retry=FAST) as background:
            for number in range(3):
                background.submit_event(progress("full", number))
                background.submit_event(progress("free", number))
            await until(lambda: background.published == 3)
            background.submit_event(progress("full", 3))
            background.submit_event(progress("free", 3))
            await until(lambda: background.published == 4)
            # After its rest, the channel is tried again.
            await until(lambda: len(refused) == 3)
            full = False
            assert await background.flush(10)
    assert numbers(taken, "backtest.free") == numbers(taken, "backtest.full") == [*range(4)]
    assert [event["idempotency_key"] for event in taken if event["channel"] == "backtest.full"][:3] == [
        event["idempotency_key"] for event in refused[0] if event["channel"] == "backtest.full"
    ]


@pytest.mark.parametrize("channel", ["backtest.elsewhere", None])
async def test_any_other_limit_makes_all_wait(channel: str | None) -> None:
    attempts: list[list[str]] = []

    def refusal(batch: list[Any]) -> Any:
        attempts.append([event["channel"] for event in batch])
        return limit_of(str(channel), 0.01) | {"channel": channel} if len(attempts) < 4 else None

    async with batch_gateway(refusal) as address, CourierClient(address, token="t1", retry=FAST) as client:
        async with BackgroundPublisher(client, retry=FAST) as background:
            for name in ("a", "b"):
                background.submit_event(progress(name, 0))
            assert await background.flush(10)
    assert attempts == [["backtest.a", "backtest.b"]] * 4


async def test_a_publish_that_waits_holds_back_its_channel_only() -> None:
    full = True

    def refusal(batch: list[Any]) -> Any:
        return limit_of("backtest.full", 0.01) if full and numbers(batch, "backtest.full") else None

    async with batch_gateway(refusal) as address, CourierClient(address, token="t1", retry=FAST) as client:
        async with BackgroundPublisher(client, retry=FAST) as background:
            publishing = asyncio.ensure_future(client.publish_event(progress("full", 0)))
            await asyncio.sleep(0)
            background.submit_event(progress("full", 1))
            background.submit_event(progress("free", 0))
            await until(lambda: background.published == 1)
            assert not publishing.done()
            full = False
            await publishing
            assert await background.flush(10)


async def test_a_rival_at_the_limit_of_a_channel_does_not_win_for_ever() -> None:
    calls: list[list[int]] = []

    def refusal(batch: list[Any]) -> Any:
        # A rival leaves one place at a time.
        calls.append(numbers(batch, "backtest.rival"))
        return [None, *[limit_of("backtest.rival", 0.001)] * (len(batch) - 1)] if len(batch) > 1 else None

    async with batch_gateway(refusal) as address, CourierClient(address, token="t1") as client:
        async with BackgroundPublisher(client, retry=FAST) as background:
            for number in range(5):
                background.submit_event(progress("rival", number))
            assert await background.flush(10)
            assert background.published == 5
    assert calls == [[*range(first, 5)] for first in range(5)]


async def test_the_events_of_one_batch_have_outcomes_of_their_own() -> None:
    unavailable = {"code": "SERVICE_UNAVAILABLE", "detail": "busy", "retry_after_ms": 1}
    wrong = {"code": "BAD_REQUEST", "detail": "wrong", "issues": [{"path": "data.progress", "message": "wrong"}]}
    calls: list[list[tuple[str, int]]] = []
    told: list[tuple[str, int, str, str | None]] = []
    keys: set[str] = set()

    def refusal(batch: list[Any]) -> Any:
        calls.append([(event["channel"].removeprefix("backtest."), event["data"]["bars_processed"]) for event in batch])
        keys.update(event["idempotency_key"] for event in batch)
        if len(calls) > 1:
            return None
        return [None, limit_of("backtest.full", 0.2), unavailable, wrong, limit_of("backtest.full", 0.2), unavailable]

    def on_error(error: Exception, event: EventDraft[Any]) -> None:
        assert isinstance(error, InvalidInputError)
        told.append((event.channel, event.data["bars_processed"], error.issues[0].path, error.idempotency_key))

    async with batch_gateway(refusal) as address, CourierClient(address, token="t1") as client:
        async with BackgroundPublisher(client, retry=FAST, on_error=on_error) as background:
            for name, number in (("a", 0), ("full", 0), ("b", 0), ("a", 1), ("full", 1), ("b", 1)):
                background.submit_event(replace(progress(name, number), idempotency_key=f"{name}-{number}"))
            await until(lambda: background.published == 3)
            assert background.pending == 2
            background.submit_event(replace(progress("full", 2), idempotency_key="full-2"))
            assert await background.flush(10)
            assert (background.published, background.refused) == (6, 1)
    assert calls[1:] == [[("b", 0), ("b", 1)], [("full", 0), ("full", 1), ("full", 2)]]
    assert told == [("backtest.a", 1, "data.progress", "a-1")]
    assert len(keys) == 7


@pytest.mark.parametrize("bound", ["max_events", "max_queued_bytes"])
async def test_a_new_event_takes_the_place_of_one_that_was_put_aside(bound: str) -> None:
    now = datetime.now(timezone.utc)
    told: list[tuple[type[Exception], int]] = []
    attempts = 0

    def submit(channel: str, *numbers_of: int) -> None:
        for number in numbers_of:
            background.submit_event(replace(progress(channel, number), timestamp=now))

    def refusal(batch: list[Any]) -> Any:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            # As many wait as may while the batch is under way, which comes back.
            submit("full", 3, 4)
            submit("free", 0)
        return limit_of("backtest.full", 60) if numbers(batch, "backtest.full") else None

    def on_error(error: Exception, event: EventDraft[Any]) -> None:
        told.append((type(error), event.data["bars_processed"]))

    async with batch_gateway(refusal) as address, CourierClient(address, token="t1") as client:
        most = (
            3 if bound == "max_events" else 3 * len(client.outgoing(replace(progress("full", 0), timestamp=now)).body)
        )
        options: dict[str, Any] = {bound: most}
        async with BackgroundPublisher(client, retry=FAST, on_error=on_error, **options) as background:
            submit("full", 0, 1, 2)
            await until(lambda: background.published == 1)
            submit("full", 5)
            assert told == [(QueueFullError, 0)]
            submit("full", 6)
            assert told == [(QueueFullError, 0), (QueueFullError, 1)]
            assert background.pending == 5
            await background.aclose(timeout=0)
    assert told[2:] == [(ClosedError, number) for number in (2, 3, 4, 5, 6)]
