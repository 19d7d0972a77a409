"""Batches take their place in the order of their channels: behind what was published before, and in nobody's way."""

from __future__ import annotations

import asyncio
import signal
import threading
from queue import SimpleQueue
from typing import Any

import pytest

from conftest import FAST
from courier_client import (
    Backoff,
    ClosedError,
    CourierClient,
    CourierError,
    SyncCourierClient,
    UnreachableError,
)
from holding import Holding, Threads, held, numbers, publishing
from processes import Gateway
from servers import batch_gateway
from submitting import numbers_on, progress
from waiting import at_rest, until

UNAVAILABLE = {"code": "SERVICE_UNAVAILABLE", "detail": "busy"}


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes only because it has waited for long."""
    for module in ("_coalescer", "_order", "_sync_coalescer", "_sync_order"):
        monkeypatch.setattr(f"courier_client.{module}.PATIENCE_SECONDS", 1000)


def batch(client: CourierClient, *numbers_of: int, on: str = "b1", **options: Any) -> asyncio.Task[Any]:
    drafts = [progress(on, number) for number in numbers_of]
    return asyncio.ensure_future(client.publish_batch(drafts, **options))


def expect_unsent(error: CourierError) -> None:
    assert error.message == "publish of 2 events: not sent within 0.05 s, as the publishes before it have no answer"
    assert error.hint == "Give it more time, or publish less at once."
    assert not error.may_be_stored


async def test_a_batch_is_stored_after_what_was_published_before(gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        for first in range(0, 200, 10):
            before = publishing(client, *range(first, first + 3), on="batched")
            batches = [
                batch(client, *range(first + 3, first + 6), on="batched"),
                batch(client, first + 6, on="batched"),
            ]
            await asyncio.gather(*before, *batches)
    stored = await numbers_on(gateway, "backtest.batched")
    assert stored == [first + number for first in range(0, 200, 10) for number in range(7)]


@pytest.mark.usefixtures("patient")
async def test_a_batch_waits_for_the_publishes_and_batches_before_it_on_its_channels_only() -> None:
    server = Holding()
    async with server.listening() as address, CourierClient(address, token="t1") as client:
        first = await held(server, client)
        waiting = publishing(client, 1, 2)
        batches = [batch(client, 3, 4), batch(client, 5, 6)]
        elsewhere = batch(client, 7, 8, on="free")
        later = publishing(client, 9)
        await until(lambda: len(server.calls) == 2)
        await at_rest(lambda: server.calls)
        server.release.set()
        await asyncio.gather(first, *waiting, *batches, elsewhere, *later)
    # The later one goes with those that waited: a batch between them does not part them.
    assert server.calls == [[0], [7, 8], [1, 2, 9], [3, 4], [5, 6]]


@pytest.mark.usefixtures("patient")
async def test_a_publish_does_not_wait_for_a_batch() -> None:
    server = Holding()
    async with server.listening() as address, CourierClient(address, token="t1") as client:
        on_its_way = batch(client, 0, 1)
        await until(lambda: server.calls == [[0, 1]])
        later = publishing(client, 2)
        await until(lambda: server.calls == [[0, 1], [2]])
        server.release.set()
        await asyncio.gather(on_its_way, *later)


async def test_a_batch_waits_for_one_that_is_repeated() -> None:
    calls: list[list[int]] = []

    def refusal(sent: list[Any]) -> Any:
        calls.append(numbers(sent))
        return UNAVAILABLE if len(calls) < 4 else None

    async with batch_gateway(refusal) as address, CourierClient(address, token="t1", retry=FAST) as client:
        await asyncio.gather(*publishing(client, 0), batch(client, 1, 2))
    assert calls == [[0], [0], [0], [0], [1, 2]]


async def test_a_batch_goes_when_the_one_before_it_is_given_up() -> None:
    calls: list[list[int]] = []

    def refusal(sent: list[Any]) -> Any:
        calls.append(numbers(sent))
        return UNAVAILABLE if 0 in calls[-1] else None

    async with batch_gateway(refusal) as address:
        async with CourierClient(address, token="t1", retry=Backoff(initial=1000), timeout=3000) as client:
            (given_up,) = publishing(client, 0)
            behind = batch(client, 1, 2)
            await until(lambda: calls == [[0]])
            await at_rest(lambda: calls)
            given_up.cancel()
            await behind
    assert calls == [[0], [1, 2]]


async def test_a_batch_that_is_given_up_while_it_waits_is_not_sent() -> None:
    server = Holding()
    async with server.listening() as address, CourierClient(address, token="t1") as client:
        first = await held(server, client)
        cancelled = batch(client, 1, 2)
        with pytest.raises(UnreachableError) as caught:
            await batch(client, 3, 4, timeout=0.05)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        server.release.set()
        await first
        await batch(client, 5, 6)
    expect_unsent(caught.value)
    assert server.calls == [[0], [5, 6]]


async def test_a_call_that_hangs_does_not_hold_back_a_batch_for_ever() -> None:
    server = Holding()
    async with server.listening() as address:
        async with CourierClient(address, token="t1", timeout=None, attempt_timeout=None) as client:
            first = await held(server, client)
            waiting, behind = publishing(client, 1), batch(client, 2, 3)
            await until(lambda: len(server.calls) == 3)
            assert not first.done()
            server.release.set()
            await asyncio.gather(first, *waiting, behind)
    assert server.calls == [[0], [1], [2, 3]]


@pytest.mark.usefixtures("patient")
async def test_closing_waits_for_a_batch_that_waits() -> None:
    server = Holding()
    async with server.listening() as address:
        client = CourierClient(address, token="t1")
        first, behind = await held(server, client), batch(client, 1, 2)
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(client.aclose())
        await asyncio.sleep(0)
        server.release.set()
        await closing
        await asyncio.gather(first, behind)
    assert server.calls == [[0], [1, 2]]


async def test_closing_cuts_off_a_batch_that_waits() -> None:
    server = Holding()
    async with server.listening() as address:
        client = CourierClient(address, token="t1")
        first, behind = await held(server, client), batch(client, 1, 2)
        await asyncio.sleep(0)
        await client.aclose(timeout=0.05)
        outcomes = await asyncio.gather(first, behind, return_exceptions=True)
    assert [isinstance(outcome, ClosedError) and outcome.may_be_stored for outcome in outcomes] == [True, False]
    assert server.calls == [[0]]


@pytest.mark.usefixtures("patient")
async def test_a_batch_waits_for_the_publishes_of_other_threads() -> None:
    server = Threads()
    async with server.used():
        first = await server.held()
        waiting, behind = server.publish(1), server.publish_batch(2, 3)
        with pytest.raises(UnreachableError) as caught:
            await server.publish_batch(4, 5, timeout=0.05)
        assert server.calls == [[0]]
        server.release.set()
        await asyncio.gather(first, waiting, behind)
    expect_unsent(caught.value)
    assert server.calls[0] == [0]
    assert sorted(server.calls[1:]) == [[1], [2, 3]]


async def test_a_call_of_a_thread_that_hangs_does_not_hold_back_a_batch_for_ever() -> None:
    server = Threads()
    async with server.used(attempt_timeout=None):
        first = await server.held()
        behind = server.publish_batch(1, 2)
        await until(lambda: server.calls == [[0], [1, 2]])
        assert not first.done()
        # A publish does not wait for a batch.
        later = server.publish(3)
        await until(lambda: server.calls[2:] == [[3]])
        server.release.set()
        await asyncio.gather(first, behind, later)


async def test_closing_cuts_off_a_batch_that_waits_for_another_thread() -> None:
    server = Threads()
    async with server.used() as client:
        first, behind = await server.held(), server.publish_batch(1, 2)
        await asyncio.to_thread(client.close, 0.05)
        outcomes = await asyncio.gather(first, behind, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ClosedError] * 2
    assert server.calls == [[0]]


@pytest.mark.usefixtures("patient")
def test_a_batch_of_a_signal_handler_does_not_wait_for_what_it_interrupts() -> None:
    calls: list[list[int]] = []
    listening: SimpleQueue[tuple[str, asyncio.AbstractEventLoop]] = SimpleQueue()
    answers, ends = asyncio.Event(), asyncio.Event()
    here = threading.get_ident()

    async def interrupt(sent: list[Any]) -> None:
        calls.append(numbers(sent))
        if calls[-1] == [0]:
            signal.pthread_kill(here, signal.SIGUSR1)
            await answers.wait()
        answers.set()

    async def serve() -> None:
        async with batch_gateway(interrupt) as address:
            listening.put((address, asyncio.get_running_loop()))
            await ends.wait()

    serving = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    serving.start()
    address, loop = listening.get()
    with SyncCourierClient(address, token="t1") as client:
        before = signal.signal(signal.SIGUSR1, lambda *_: client.publish_batch([progress("b1", 1), progress("b1", 2)]))
        try:
            client.publish_event(progress("b1", 0))
        finally:
            signal.signal(signal.SIGUSR1, before)
    loop.call_soon_threadsafe(ends.set)
    serving.join()
    assert calls == [[0], [1, 2]]
