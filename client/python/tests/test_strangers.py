"""Something else than a gateway answers: at a wrong address, or before a gateway that is away for a moment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import pytest
import websockets

from conftest import FAST
from courier_client import (
    BackgroundPublisher,
    CourierClient,
    InvalidInputError,
    SyncCourierClient,
    TooLargeError,
    _strangers,
)
from servers import answering, receipt, tcp_server
from submitting import counters, progress
from waiting import until

EVENT = (
    '{"id":"e1-%d","channel":"backtest.b1","type":"backtest.progress",'
    '"metadata":{"timestamp":"2026-01-02T03:04:05Z","source":"s"},"data":{"backtest_id":"b1","progress":0.5}}'
)
PAGE = '{"events":[],"next":"e1-0","has_more":false}'
NOT_FOUND = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def upgrades(statuses: Iterable[int]) -> AsyncIterator[tuple[str, list[int]]]:
    """A server that answers upgrades so, and then 404; and reads of history as a gateway does.

    It accepts a 101, sends an event, and shuts down.
    """
    given: list[int] = []
    rest = iter(statuses)

    def answer(socket: websockets.ServerConnection, request: Any) -> Any:
        if request.path.startswith("/events/"):
            return socket.respond(200, PAGE)
        given.append(next(rest, 404))
        return None if given[-1] == HTTPStatus.SWITCHING_PROTOCOLS else socket.respond(given[-1], "")

    async def serve(socket: websockets.ServerConnection) -> None:
        await socket.send(EVENT % len(given))
        await socket.close(1001)

    async with websockets.serve(serve, "127.0.0.1", 0, process_request=answer) as server:
        yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}", given


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers of strangers may come as fast as they do here."""
    monkeypatch.setattr(_strangers, "STRANGE_SECONDS", 0.0)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("status", [400, 404, 410, 302, 200])
async def test_a_client_that_no_gateway_has_accepted_ends_after_three_answers_in_a_row(status: int) -> None:
    # Any other failure in between begins anew.
    in_between = (503, 429, 425, 408)
    statuses = [answer for other in in_between for answer in (status, status, other)]
    async with upgrades([*statuses, status, status, status]) as (address, given):
        async with CourierClient(address, token="t1", retry=FAST) as client:
            with pytest.raises(Exception, match=f"no Courier gateway answered {status}.*`base_url`|`issues`"):
                await anext(client.subscribe("backtest.b1"))
    assert given == [*statuses, status, status, status]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("accepted_by", ["the subscription", "a call"])
async def test_a_client_that_a_gateway_has_accepted_never_ends_for_them(accepted_by: str) -> None:
    async with upgrades([*([101] if accepted_by == "the subscription" else []), *[404] * 5, 101]) as (address, given):
        async with CourierClient(address, token="t1", retry=FAST) as client:
            subscription = client.subscribe("backtest.b1")
            if accepted_by == "the subscription":
                assert (await anext(subscription)).id == "e1-1"
            else:
                await client.history("backtest.b1")
            assert (await anext(subscription)).id == f"e1-{len(given)}"
    assert given[-6:] == [*[404] * 5, 101]


async def test_until_it_ends_each_of_them_is_told() -> None:
    async with upgrades([]) as (address, given):
        async with CourierClient(address, token="t1", retry=FAST, give_up_after=0.5) as client:
            subscription = client.subscribe("backtest.b1")
            waiting = asyncio.ensure_future(anext(subscription))
            await until(lambda: len(given) == 5)
            told = subscription.last_error
            assert isinstance(told, InvalidInputError)
            assert told.retryable
            assert "`base_url`" in told.hint
            with pytest.raises(InvalidInputError, match=r"It was tried for") as caught:
                await waiting
    assert caught.value.code == "NOT_FOUND"


async def publish(how: str, address: str, timeout: float) -> None:
    if how == "asynchronous":
        async with CourierClient(address, token="t1", retry=FAST, timeout=timeout) as client:
            await client.publish_event(progress("b1", 1))
    else:
        with SyncCourierClient(address, token="t1", retry=FAST, timeout=timeout) as sync:
            await asyncio.to_thread(sync.publish_event, progress("b1", 1))


@pytest.mark.parametrize("how", ["asynchronous", "synchronous"])
async def test_a_call_that_runs_out_of_time_ends_with_what_they_answered(how: str) -> None:
    async with tcp_server(answering(NOT_FOUND)) as address:
        with pytest.raises(InvalidInputError, match=r"no Courier gateway answered 404.*`base_url`") as caught:
            await publish(how, address, timeout=0.3)
    assert caught.value.code == "NOT_FOUND"
    assert not caught.value.may_be_stored


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("how", ["asynchronous", "synchronous"])
async def test_a_call_of_a_client_that_no_gateway_has_accepted_ends_too(how: str) -> None:
    async with tcp_server(answering(NOT_FOUND)) as address:
        with pytest.raises(InvalidInputError, match=r"no Courier gateway answered 404"):
            await asyncio.wait_for(publish(how, address, timeout=60), 10)


async def test_a_proxy_that_refuses_the_call_is_believed() -> None:
    async with tcp_server(answering("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")) as address:
        async with CourierClient(address, token="t1", retry=FAST, timeout=60) as client:
            with pytest.raises(TooLargeError):
                await client.publish_event(progress("b1", 1))


@pytest.mark.usefixtures("at_once")
async def test_a_background_publisher_loses_nothing_where_a_gateway_was() -> None:
    stored = json.dumps(receipt(1, {"channel": "backtest.b1", "type": "backtest.progress"}))
    taken = f"HTTP/1.1 201 Created\r\nContent-Length: {len(stored)}\r\n\r\n{stored}"
    answers = iter([taken, *[NOT_FOUND] * 5, taken])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(next(answers))(reader, writer)

    async with tcp_server(serve) as address, CourierClient(address, token="t1", retry=FAST) as client:
        async with BackgroundPublisher(client, retry=FAST) as background:
            for number in range(2):
                background.submit_event(progress("b1", number))
                assert await background.flush(10)
            assert counters(background) == {"submitted": 2, "published": 2}
