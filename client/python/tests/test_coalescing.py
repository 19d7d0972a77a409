"""Publishes that are made while one is on its way: they go together, and each keeps what is its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from conftest import FAST
from courier_client import (
    Backoff,
    CourierClient,
    CourierError,
    EventDraft,
    ForbiddenError,
    InvalidInputError,
    RateLimitedError,
    Receipt,
    UnexpectedAnswerError,
)
from holding import Holding, held, numbers, publishing
from processes import Gateway
from servers import batch_gateway, pump, tcp_server
from submitting import numbers_on, progress
from waiting import at_rest, until


async def test_publishes_at_once_are_two_calls() -> None:
    server = Holding()
    async with server.listening() as address, CourierClient(address, token="t1") as client:
        first = await held(server, client)
        others = publishing(client, *range(1, 10))
        await asyncio.sleep(0)
        server.release.set()
        receipts = await asyncio.gather(first, *others)
        # Alone again, a publish is no list of one.
        await client.publish_event(progress("b1", 10))
    assert server.calls == [[0], [*range(1, 10)], [10]]
    assert [one.id for one in receipts] == ["e1-0", *(f"e1-{number}" for number in range(9))]


async def test_those_who_publish_again_and_again_go_together_each_time() -> None:
    calls: list[int] = []

    async def work() -> None:
        for number in range(10):
            await client.publish_event(progress("b1", number))

    async with batch_gateway(lambda batch: calls.append(len(batch))) as address:
        async with CourierClient(address, token="t1") as client:
            await asyncio.gather(*(work() for _ in range(10)))
    # What comes while an answer is given out goes along: it is not one and nine, and one and nine.
    assert calls == [1, *[10] * 9, 9]


async def test_publishes_are_stored_in_the_order_of_their_calls_with_their_own_receipts(gateway: Gateway) -> None:
    drafts = [progress(f"coalesced{number % 2}", number) for number in range(1200)]
    async with counting(gateway) as (address, paths), CourierClient(address, token=gateway.token()) as client:
        receipts = await asyncio.gather(*(client.publish_event(draft) for draft in drafts))
        page = {event.id: event async for event in client.iterate_history("backtest.*", page_size=1000)}
    assert paths == ["/publish", *["/trpc/events.publishEach"] * 3]
    stored = [page[receipt.id] for receipt in receipts]
    assert [event.model_dump()["data"]["bars_processed"] for event in stored] == [*range(1200)]
    assert [event.channel for event in stored] == [draft.channel for draft in drafts]
    assert await numbers_on(gateway, "backtest.coalesced0") == [*range(0, 1200, 2)]


@asynccontextmanager
async def counting(gateway: Gateway) -> AsyncIterator[tuple[str, list[str]]]:
    """Passes all on to a gateway. Yields the address, and the paths of the calls that publish."""
    paths: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, calls = await asyncio.open_connection("127.0.0.1", gateway.port)
        answering = asyncio.ensure_future(pump(answers, writer))
        while data := await reader.read(65_536):
            paths.extend(found.decode() for found in re.findall(rb"POST (\S+)", data))
            calls.write(data)
        calls.close()
        await answering

    async with tcp_server(serve) as address:
        yield address, paths


async def test_large_events_go_in_several_calls(gateway: Gateway) -> None:
    large = {"strategy_id": "wide", "parameters": {"text": "x" * 90_000}}
    drafts = [
        EventDraft("strategy.wide", "strategy.generation.started", {**large, "name": f"s{number}"})
        for number in range(30)
    ]
    async with CourierClient(gateway.url, token=gateway.token("prophet")) as client:
        await asyncio.gather(*(client.publish_event(draft) for draft in drafts))
        stored = [event.model_dump()["data"]["name"] async for event in client.iterate_history("strategy.wide")]
    assert stored == [f"s{number}" for number in range(30)]


def said(error: CourierError) -> tuple[Any, ...]:
    return (type(error), error.code, error.message, error.hint, error.issues, error.retryable, error.may_be_stored)


async def test_each_event_is_refused_as_it_would_be_alone(gateway: Gateway) -> None:
    wrong = [
        EventDraft("backtest.alone", "backtest.progress", {"backtest_id": "alone", "progress": 2}),
        EventDraft("backtest.alone", "backtest.progress", {"progress": 0.5}, correlation_id="not a token"),
        EventDraft("backtest.alone", "no.such.type", {}),
        EventDraft("strategy.alone", "strategy.generation.started", {"strategy_id": "alone"}),
    ]
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        alone = [await refusal_of(client, draft) for draft in wrong]
        drafts = [draft for one in wrong for draft in (progress("alone", 1), one)]
        outcomes = await asyncio.gather(*map(client.publish_event, drafts), return_exceptions=True)
    together = outcomes[1::2]
    assert all(isinstance(stored, Receipt) for stored in outcomes[::2])
    assert [said(error) for error in together if isinstance(error, CourierError)] == [*map(said, alone)]
    assert {type(error) for error in alone} == {InvalidInputError, ForbiddenError}
    assert all(isinstance(error, CourierError) and error.request_id is not None for error in together)
    assert len({error.idempotency_key for error in together if isinstance(error, CourierError)}) == len(wrong)


async def refusal_of(client: CourierClient, draft: EventDraft[Any]) -> CourierError:
    with pytest.raises(CourierError) as caught:
        await client.publish_event(draft)
    return caught.value


async def test_the_limit_of_a_channel_holds_up_that_channel_only() -> None:
    limits = '{"channels": {"backtest.full": {"publishPerSecond": null, "publishPerMinute": 2}}}'
    with Gateway(COURIER_LIMITS=limits) as gateway:
        async with CourierClient(gateway.url, token=gateway.token(), timeout=2) as client:
            drafts = [progress(name, number) for number in range(4) for name in ("full", "free")]
            outcomes = await asyncio.gather(*map(client.publish_event, drafts), return_exceptions=True)
        assert await numbers_on(gateway, "backtest.full") == [0, 1]
        assert await numbers_on(gateway, "backtest.free") == [*range(4)]
    refused = [error for error in outcomes if isinstance(error, RateLimitedError)]
    assert [(error.channel, error.may_be_stored) for error in refused] == [("backtest.full", False)] * 2


FAILURES: dict[str, Any] = {
    "the connection is lost": None,
    "the gateway is busy": {"code": "SERVICE_UNAVAILABLE", "detail": "busy"},
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_a_call_that_fails_is_repeated_with_the_keys_of_its_events(failure: Any) -> None:
    tried: list[dict[int, str]] = []

    async def refusal(batch: list[Any]) -> Any:
        tried.append(dict(zip(numbers(batch), (event["idempotency_key"] for event in batch), strict=True)))
        if len(tried) == 2 and failure is None:
            raise OSError("the connection is lost")
        return failure if len(tried) == 2 else None

    async with batch_gateway(refusal) as address, CourierClient(address, token="t1", retry=FAST) as client:
        await asyncio.gather(*publishing(client, *range(4)))
    assert [*tried[0]] == [0]
    assert [*tried[1]] == [1, 2, 3]
    repeated = {number: key for again in tried[2:] for number, key in again.items()}
    assert repeated == tried[1]


async def test_errors_of_a_call_are_each_callers_own() -> None:
    answers: dict[int, Any] = {
        2: {"code": "INTERNAL_SERVER_ERROR", "detail": "trouble"},
        3: {"code": "FORBIDDEN", "detail": "no"},
    }
    calls = 0

    def refusal(_: list[Any]) -> Any:
        nonlocal calls
        calls += 1
        return answers.get(min(calls, 3))

    async with batch_gateway(refusal) as address, CourierClient(address, token="t1", retry=FAST) as client:
        _, *errors = await asyncio.gather(*publishing(client, 0, 1, 2), return_exceptions=True)
    keys = set()
    for error in errors:
        assert isinstance(error, ForbiddenError)
        assert error.may_be_stored
        assert error.message.count("may have been stored") == 1
        keys.add(error.idempotency_key)
    assert len(keys) == 2


async def test_a_refused_token_is_replaced_once_for_all(gateway: Gateway) -> None:
    asked = 0

    def token() -> str:
        nonlocal asked
        asked += 1
        return gateway.token(lifetime=-60 if asked == 1 else 600)

    async with CourierClient(gateway.url, token=token, retry=FAST) as client:
        await asyncio.gather(*(client.publish_event(progress("renewed", number)) for number in range(20)))
    assert asked == 2
    assert sorted(await numbers_on(gateway, "backtest.renewed")) == [*range(20)]


async def test_publishes_with_another_token_go_in_another_call(gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token("cartographe")) as client:
        before = [asyncio.ensure_future(client.publish_event(progress("sources", number))) for number in range(4)]
        await asyncio.sleep(0)
        client.set_token(gateway.token("ada", "admin"))
        after = [asyncio.ensure_future(client.publish_event(progress("sources", number))) for number in range(4, 8)]
        await asyncio.gather(*before, *after)
        page = await client.history("backtest.sources")
    assert [event.metadata.source for event in page.events] == ["cartographe"] * 4 + ["ada"] * 4
    assert await numbers_on(gateway, "backtest.sources") == [*range(8)]


STRANGE: dict[str, Any] = {
    "too few": {"result": {"data": {"json": []}}},
    "no list": {"result": {}},
    "no error": {"result": {"data": {"json": [{"error": "no"}, {"error": "no"}]}}},
}


@pytest.mark.parametrize("answer", STRANGE.values(), ids=STRANGE)
async def test_an_answer_of_another_form_is_an_error_for_each(answer: Any) -> None:
    async with batch_gateway(lambda batch: answer if len(batch) > 1 else None, "200 OK") as address:
        async with CourierClient(address, token="t1") as client:
            _, *errors = await asyncio.gather(*publishing(client, 0, 1, 2), return_exceptions=True)
    assert [type(error) for error in errors] == [UnexpectedAnswerError] * 2
    assert errors[0] is not errors[1]


UNAVAILABLE = {"code": "SERVICE_UNAVAILABLE", "detail": "busy"}


async def test_one_that_is_repeated_holds_back_the_later_ones_of_its_channel_only() -> None:
    calls: list[list[int]] = []

    def refusal(batch: list[Any]) -> Any:
        calls.append(numbers(batch))
        return UNAVAILABLE if len(calls) == 1 else None

    async with batch_gateway(refusal) as address:
        async with CourierClient(address, token="t1", retry=Backoff(initial=0.3)) as client:
            (later, *_) = await asyncio.gather(*publishing(client, 0, 1), client.publish_event(progress("free", 2)))
            assert later.channel == "backtest.b1"
    assert calls[:2] == [[0], [2]]
    assert [number for call in calls[2:] for number in call] == [0, 1]


async def test_those_that_fail_together_are_stored_in_their_order() -> None:
    stored: list[int] = []
    failed = 0

    def refusal(batch: list[Any]) -> Any:
        nonlocal failed
        if len(batch) > 1 and failed < 3:
            failed += 1
            kept = len(batch) // 3
            stored.extend(numbers(batch)[:kept])
            return [None] * kept + [UNAVAILABLE] * (len(batch) - kept)
        stored.extend(numbers(batch))
        return None

    async with batch_gateway(refusal) as address, CourierClient(address, token="t1", retry=FAST) as client:
        await asyncio.gather(*publishing(client, *range(50)))
    assert failed == 3
    assert stored == [*range(50)]


async def test_one_that_is_given_up_while_it_is_repeated_holds_back_nobody() -> None:
    calls: list[list[int]] = []

    def refusal(batch: list[Any]) -> Any:
        calls.append(numbers(batch))
        return UNAVAILABLE if 0 in calls[-1] else None

    async with batch_gateway(refusal) as address:
        async with CourierClient(address, token="t1", retry=Backoff(initial=1000), timeout=3000) as client:
            given_up, *later = publishing(client, 0, 1, 2)
            await until(lambda: calls == [[0]])
            await at_rest(lambda: calls)
            given_up.cancel()
            await asyncio.gather(*later)
    assert calls == [[0], [1, 2]]
