"""Reading a piece of work: what belongs to it, what that has caused, and what led to it, with both clients."""

from __future__ import annotations

import asyncio
import json
import string
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from typing_extensions import assert_type

from conftest import FAST
from courier_client import (
    AnyEvent,
    ClosedError,
    CourierClient,
    CourierTimeoutError,
    GenericEvent,
    InvalidInputError,
    SyncCourierClient,
    Trace,
    UnauthorizedError,
    UnexpectedAnswerError,
    caused_by,
    events,
)
from processes import Gateway
from servers import deaf_server, tcp_server
from subscribing import connected, progress

Read = Callable[..., Any]


@pytest.fixture(params=["async", "sync"])
async def trace(gateway: Gateway, request: pytest.FixtureRequest) -> AsyncIterator[Read]:
    """The method of either client."""
    async with clients(gateway.url, gateway.token(), request.param) as read:
        yield read


@asynccontextmanager
async def clients(url: str, token: str, kind: str, **options: Any) -> AsyncIterator[Read]:
    if kind == "async":
        async with CourierClient(url, token=token, retry=FAST, **options) as client:
            yield client.trace
    else:
        with SyncCourierClient(url, token=token, retry=FAST, **options) as sync:

            async def read(**asked: Any) -> Any:
                return await asyncio.to_thread(sync.trace, **asked)

            yield read


def ids_of(read: Trace[AnyEvent]) -> list[str]:
    return [step.event.id for step in read.steps]


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_the_chain_that_three_services_made(gateway: Gateway, kind: str) -> None:
    name, work = f"chain-{kind}", f"run-{kind}"

    def service(sub: str) -> CourierClient:
        return CourierClient(gateway.url, sub, gateway.token(sub))

    async with service("prophet") as prophet, service("cartographe") as cartographe, service("forge") as forge:

        async def backtest() -> None:
            async for event in strategies:
                with caused_by(event):
                    await cartographe.publish_event(events.backtest_started(backtest_id=name))
                    await cartographe.publish_event(events.backtest_progress(backtest_id=name, progress=1))

        async def go_on() -> None:
            async for event in backtests:
                with caused_by(event):
                    await forge.publish_event(events.forge_job_progress(job_id=name, progress=0.5))

        strategies = cartographe.subscribe(f"strategy.{name}")
        backtests = forge.subscribe(f"backtest.{name}", types="backtest.progress")
        async with strategies, backtests, prophet.subscribe(f"forge.job.{name}") as jobs:
            running = [asyncio.create_task(backtest()), asyncio.create_task(go_on())]
            began = datetime.now(timezone.utc) - timedelta(seconds=1)
            generated = events.strategy_generation_completed(strategy_id=name, correlation_id=work)
            first = await prophet.publish_event(generated)
            last = await anext(jobs)
            for task in running:
                task.cancel()
            await asyncio.wait(running)
    async with clients(gateway.url, gateway.token(), kind) as trace:
        by_event, by_work = await trace(id=last.id), await trace(correlation_id=work)
    assert by_event == by_work
    assert (by_work.correlation_id, by_work.hidden, by_work.is_partial) == (work, 0, False)
    begun, started, done, told = by_work.steps
    assert (begun.event.id, begun.event.metadata.causation_id, begun.after_cause_ms) == (first.id, None, None)
    assert [step.event.metadata.causation_id for step in (started, done, told)] == [first.id, first.id, done.event.id]
    assert isinstance(done.event, events.BacktestProgressEvent)
    assert told.event == last
    stored = [step.stored_at for step in by_work.steps]
    assert began < stored[0] <= stored[-1] < datetime.now(timezone.utc) + timedelta(seconds=1)
    assert told.after_cause_ms == (stored[3] - stored[2]) / timedelta(milliseconds=1)


async def test_its_types(gateway: Gateway) -> None:
    async with connected(gateway) as client:
        receipt = await client.publish_event(progress("typed-trace", 0.5))
        read = await client.trace(id=receipt.id)
    with SyncCourierClient(gateway.url, token=gateway.token()) as sync:
        assert_type(sync.trace(id=receipt.id), Trace[AnyEvent])
    assert_type(read, Trace[AnyEvent])
    assert_type(read.steps[0].event, AnyEvent)
    assert_type(read.steps[0].stored_at, datetime | None)
    assert_type(read.steps[0].after_cause_ms, float | None)
    with pytest.raises(AttributeError):
        read.hidden = 1  # type: ignore[misc]


@pytest.mark.parametrize("page_size", [1, 3, 7, 8, None])
async def test_all_pages(gateway: Gateway, trace: Read, page_size: int | None) -> None:
    async with connected(gateway) as client:
        ids = [(await client.publish_event(progress("trace-pages", 0))).id]
        for _ in range(6):
            with caused_by((await client.history("backtest.trace-pages", order="newest", limit=1)).events[0]):
                ids.append((await client.publish_event(progress("trace-pages", 0))).id)
    read = await trace(id=ids[3], page_size=page_size)
    assert ids_of(read) == ids
    assert await trace(correlation_id=ids[0], page_size=page_size) == read
    assert (read.correlation_id, read.hidden, read.is_partial) == (ids[0], 0, False)


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_what_may_not_be_read_is_counted(gateway: Gateway, kind: str) -> None:
    shown, secret, work = f"backtest.shown-{kind}", f"secret-{kind}", f"hidden-{kind}"
    async with connected(gateway) as client:
        hidden = await client.publish_event(
            events.backtest_progress(backtest_id=secret, progress=0, correlation_id=work)
        )
        ids = []
        for _ in range(2):
            receipt = await client.publish(
                shown,
                "backtest.progress",
                {"backtest_id": shown.removeprefix("backtest."), "progress": 1},
                correlation_id=work,
                causation_id=hidden.id,
            )
            ids.append(receipt.id)
        await client.publish_event(events.backtest_progress(backtest_id=secret, progress=0, causation_id=ids[0]))
    async with clients(gateway.url, gateway.token("ada", "user", subscribe=[shown]), kind) as read:
        for size in (None, 1):
            given = await read(correlation_id=work, page_size=size)
            assert (ids_of(given), given.hidden) == (ids, 2)
        with pytest.raises(InvalidInputError) as caught:
            await read(id=hidden.id)
    assert caught.value.code == "NOT_FOUND"


async def test_an_event_that_is_not_there(trace: Read) -> None:
    with pytest.raises(InvalidInputError, match="another-7") as caught:
        await trace(id="another-7")
    assert (caught.value.code, caught.value.retryable) == ("NOT_FOUND", False)
    nothing = await trace(correlation_id="nobody")
    assert nothing == Trace("nobody", (), 0, is_partial=False)


@pytest.mark.parametrize("work", [string.punctuation, "a/b", "/", "%2F", "...", "a?b#c"])
async def test_any_correlation_id_is_asked_for_as_it_is(gateway: Gateway, trace: Read, work: str) -> None:
    async with connected(gateway) as client:
        draft = events.backtest_progress(backtest_id="odd-works", progress=0, correlation_id=work)
        receipt = await client.publish_event(draft)
    read = await trace(correlation_id=work)
    assert read.correlation_id == work
    assert read.steps[-1].event.id == receipt.id


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ({}, "id"),
        ({"id": "e1-1", "correlation_id": "run-7"}, "id"),
        ({"id": "run 7"}, "id"),
        ({"id": "E1-1"}, "id"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"correlation_id": 7}, "correlation_id"),
        ({"correlation_id": ""}, "correlation_id"),
        ({"correlation_id": "."}, "correlation_id"),
        ({"correlation_id": ".."}, "correlation_id"),
        ({"correlation_id": "a b"}, "correlation_id"),
        ({"correlation_id": "é"}, "correlation_id"),
        ({"correlation_id": "\ud83d"}, "correlation_id"),
        ({"correlation_id": "x" * 129}, "correlation_id"),
        ({"correlation_id": "run-7", "page_size": "many"}, "page_size"),
        ({"correlation_id": "run-7", "page_size": 0}, "page_size"),
        ({"correlation_id": "run-7", "timeout": -1}, "timeout"),
    ],
)
async def test_a_mistake_is_named(trace: Read, asked: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await trace(**asked)
    assert [issue.path for issue in caught.value.issues] == [path]


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_its_errors_are_those_of_any_call(gateway: Gateway, kind: str) -> None:
    async with clients(gateway.url, "wrong", kind) as read:
        with pytest.raises(UnauthorizedError):
            await read(correlation_id="run-7")
    with pytest.raises(ClosedError):
        await read(correlation_id="run-7")
    async with deaf_server() as address, clients(address, "t1", kind) as read:
        with pytest.raises(CourierTimeoutError):
            await read(correlation_id="run-7", timeout=0.1)


@asynccontextmanager
async def server(*pages: dict[str, Any]) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that answers with the pages, one after another, and its address; and what it was asked for."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            asked.append(head.split(b" ")[1].decode())
            body = json.dumps(pages[len(asked) - 1]).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()

    async with tcp_server(serve) as address:
        yield address, asked


def page(work: str, *numbers: int, has_more: bool, hidden: int = 0, is_partial: bool = False) -> dict[str, Any]:
    metadata = {"timestamp": "2026-01-02T03:04:05.678Z", "source": "s", "correlation_id": work}
    steps = [
        {
            "event": {
                "id": f"e1-{number}",
                "channel": "c",
                "type": "new.type",
                "metadata": metadata,
                "data": {"n": number},
            },
            "stored_at": None,
            "after_cause_ms": None,
            "cost": 5,
        }
        for number in numbers
    ]
    more = {"hidden": hidden, "next": f"e1-{numbers[-1]}", "has_more": has_more, "is_partial": is_partial}
    return {"correlation_id": work, "steps": steps, **more, "later": "field"}


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_all_pages_together_say_what_each_of_them_says(kind: str) -> None:
    first = page("run-7", 1, 2, has_more=True, is_partial=True)
    async with server(first, page("run-7", 3, has_more=False, hidden=4)) as (address, asked):
        async with clients(f"{address}/base", "t1", kind) as read:
            given = await read(correlation_id="run-7", page_size=2)
    assert asked == ["/base/trace/run-7?limit=2", "/base/trace/run-7?limit=2&after=e1-2"]
    assert (ids_of(given), given.hidden, given.is_partial) == (["e1-1", "e1-2", "e1-3"], 4, True)
    assert {(step.stored_at, step.after_cause_ms) for step in given.steps} == {(None, None)}
    assert isinstance(given.steps[0].event, GenericEvent)


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_pages_of_two_pieces_of_work_are_not_mixed(kind: str) -> None:
    # The event that was asked for is removed between the first page and the second.
    pages = [page("run-7", 1, 2, has_more=True), page("e1-2", 3, has_more=False), page("e1-2", 3, 4, has_more=False)]
    async with server(*pages) as (address, asked):
        async with clients(address, "t1", kind) as read:
            given = await read(id="e1-2")
    assert asked == ["/trace/e1-2", "/trace/e1-2?after=e1-2", "/trace/e1-2"]
    assert (given.correlation_id, ids_of(given)) == ("e1-2", ["e1-3", "e1-4"])


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("wrong", [{}, {"steps": [{}]}, {"steps": None}, {"hidden": None}, {"next": 7}])
async def test_what_is_no_page_is_refused(kind: str, wrong: dict[str, Any]) -> None:
    body = {**page("run-7", 1, has_more=False), **wrong} if wrong else {}
    async with server(body) as (address, _), clients(address, "t1", kind) as read:
        with pytest.raises(UnexpectedAnswerError, match="no page of a piece of work"):
            await read(correlation_id="run-7")
