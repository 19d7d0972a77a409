"""Publishes that go together, and callers that do not wait for the answer: each gives up its own only."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from courier_client import ClosedError, CourierClient, CourierTimeoutError, UnreachableError
from holding import Holding, held, numbers, publishing
from servers import batch_gateway, receipt, tcp_server
from waiting import at_rest, until


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
async def test_what_is_given_up_while_it_waits_is_not_sent(how: str) -> None:
    server = Holding()
    async with server.listening() as address, CourierClient(address, token="t1") as client:
        first = await held(server, client)
        before, after = publishing(client, 1, 3)
        (given_up,) = publishing(client, 2, timeout=0.05 if how == "timed out" else None)
        await asyncio.sleep(0)
        if how == "cancelled":
            given_up.cancel()
        await asyncio.wait([given_up])
        assert not first.done()
        server.release.set()
        await asyncio.gather(first, before, after)
    assert server.calls == [[0], [1, 3]]
    if how == "timed out":
        error = given_up.exception()
        assert isinstance(error, UnreachableError)
        assert error.message.endswith("not sent within 0.05 s, as the publishes before it have no answer")
        assert error.hint == "Give it more time, or publish less at once."
        assert not error.may_be_stored
    else:
        assert given_up.cancelled()


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
async def test_what_is_given_up_on_its_way_leaves_the_others(how: str) -> None:
    server = Holding()
    async with server.listening() as address, CourierClient(address, token="t1") as client:
        first = await held(server, client)
        before, after = publishing(client, 1, 3)
        (given_up,) = publishing(client, 2, timeout=0.3 if how == "timed out" else None)
        await asyncio.sleep(0)
        # The way is free as nobody waits for the first any more.
        first.cancel()
        await until(lambda: len(server.calls) == 2)
        if how == "cancelled":
            given_up.cancel()
        await asyncio.wait([given_up])
        assert not before.done()
        server.release.set()
        await asyncio.gather(before, after)
    assert [*map(sorted, server.calls)] == [[0], [1, 2, 3]]
    if how == "timed out":
        error = given_up.exception()
        assert isinstance(error, CourierTimeoutError)
        assert error.may_be_stored
    else:
        assert given_up.cancelled()


async def test_a_call_that_all_have_given_up_ends_and_frees_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing goes only because it has waited for long.
    monkeypatch.setattr("courier_client._coalescer.PATIENCE_SECONDS", 1000)
    server = Holding()
    tasks = asyncio.all_tasks()
    async with server.listening() as address:
        async with CourierClient(address, token="t1") as client:
            first = await held(server, client)
            together = publishing(client, 1, 2)
            await asyncio.sleep(0)
            first.cancel()
            await until(lambda: len(server.calls) == 2)
            later = publishing(client, 3, 4)
            await asyncio.sleep(0)
            for one in together:
                one.cancel()
            await until(lambda: len(server.calls) == 3)
            assert sum("Coalescer" in repr(task) for task in asyncio.all_tasks()) == 1
            server.release.set()
            await asyncio.gather(*later)
        assert server.calls == [[0], [1, 2], [3, 4]]
    assert asyncio.all_tasks() == tasks


async def test_a_call_that_hangs_does_not_hold_back_the_others_for_ever() -> None:
    calls: list[list[int]] = []
    release = asyncio.Event()

    async def hang(batch: list[Any]) -> None:
        calls.append(numbers(batch))
        if 0 in calls[-1]:
            await release.wait()

    async with batch_gateway(hang) as address:
        async with CourierClient(address, token="t1", timeout=None, attempt_timeout=None) as client:
            (first,) = publishing(client, 0)
            await until(lambda: calls == [[0]])
            await asyncio.gather(*publishing(client, 1, 2))
            assert not first.done()
            release.set()
            await first
    assert calls == [[0], [1, 2]]


async def test_what_is_given_up_before_its_call_is_sent_is_left_out() -> None:
    sent: list[list[int]] = []
    asked = 0
    release = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while head := (await reader.readuntil(b"\r\n\r\n")).decode():
            asked += 1
            answer = '{"events":[],"next":"e1-0","has_more":false}'
            if head.startswith("GET"):
                await release.wait()
            else:
                length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
                answer, batch = answer_to(await reader.readexactly(length))
                sent.append(batch)
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n{answer}".encode())
            await writer.drain()

    async with tcp_server(serve) as address, CourierClient(address, token="t1", timeout=None) as client:
        # As many requests as the client makes at once: the next ones wait.
        reading = [asyncio.ensure_future(client.history("backtest.b1")) for _ in range(100)]
        await until(lambda: asked == 100)
        first, one, given_up, other = publishing(client, 0, 1, 2, 3)
        await at_rest(lambda: asked)
        first.cancel()
        await at_rest(lambda: asked)
        given_up.cancel()
        await asyncio.wait([given_up])
        release.set()
        await asyncio.gather(one, other, *reading)
    assert sent == [[1, 3]]


def answer_to(body: bytes) -> tuple[str, list[int]]:
    batch = json.loads(body)["json"]
    return json.dumps({"result": {"data": {"json": [*map(receipt, range(9), batch)]}}}), numbers(batch)


async def test_closing_waits_for_what_waits() -> None:
    server = Holding()
    async with server.listening() as address:
        client = CourierClient(address, token="t1")
        first = await held(server, client)
        others = publishing(client, 1, 2)
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(client.aclose())
        await asyncio.sleep(0)
        server.release.set()
        await closing
        assert [outcome.done() for outcome in (first, *others)] == [True] * 3
        await asyncio.gather(first, *others)
    assert server.calls == [[0], [1, 2]]


async def test_closing_cuts_off_what_waits() -> None:
    server = Holding()
    tasks = asyncio.all_tasks()
    async with server.listening() as address:
        client = CourierClient(address, token="t1")
        first = await held(server, client)
        others = publishing(client, 1, 2)
        await asyncio.sleep(0)
        await client.aclose(timeout=0.05)
        outcomes = await asyncio.gather(first, *others, return_exceptions=True)
        assert asyncio.all_tasks() - tasks <= {task for task in asyncio.all_tasks() if "serve" in repr(task)}
    assert [isinstance(outcome, ClosedError) and outcome.may_be_stored for outcome in outcomes] == [True, False, False]
