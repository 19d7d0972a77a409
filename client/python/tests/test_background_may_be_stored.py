"""What a background publisher says of events that were lost: whether they may have been stored, and why."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from conftest import FAST
from courier_client import BackgroundPublisher, Backoff, CourierClient, CourierError, EventDraft
from servers import batch_gateway, free_port, tcp_server
from submitting import progress
from waiting import until

SLOW = Backoff(initial=10_000, maximum=10_000)
Lost = dict[int, CourierError]


async def lost_at(address: str, events: int, until_then: Any, ended_by: str = "publisher") -> Lost:
    """Submits events, and ends when something has happened. Returns the errors of those that were lost."""
    lost: Lost = {}

    def on_error(error: Exception, event: EventDraft[Any]) -> None:
        assert isinstance(error, CourierError)
        assert error.code == "CLOSED"
        lost[event.data["bars_processed"]] = error

    async with CourierClient(address, token="t1", retry=SLOW) as client:
        background = BackgroundPublisher(client, retry=SLOW, on_error=on_error)
        for number in range(events):
            background.submit_event(progress("lost", number))
        await until(until_then)
        if ended_by == "client":
            await client.aclose(timeout=0)
        await background.aclose(timeout=0)
    return lost


def may_be_stored(lost: Lost) -> dict[int, bool]:
    return {number: error.may_be_stored for number, error in lost.items()}


async def test_what_was_never_sent_is_not_stored(caplog: pytest.LogCaptureFixture) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    lost = await lost_at(address, 2, lambda: "2 events wait" in caplog.text)
    assert may_be_stored(lost) == {0: False, 1: False}
    for error in lost.values():
        assert error.message.startswith("the publisher was closed, or its event loop has ended; its last attempt")
        assert f"attempt failed: no answer from {address}: " in error.message
        assert error.hint == "See to that, or give `close` more `timeout`."


HINTS = {"publisher": "It was closed: make another.", "client": "Close the publisher before its client."}


@pytest.mark.parametrize("ended_by", HINTS)
async def test_what_is_being_sent_may_be_stored(ended_by: str) -> None:
    connected = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b'"bars_processed":1')
        connected.set()
        await reader.read()

    async with tcp_server(serve) as address:
        lost = await lost_at(address, 2, connected.is_set, ended_by)
    assert may_be_stored(lost) == {0: True, 1: True}
    for error in lost.values():
        assert "attempt failed" not in error.message
        assert error.hint == HINTS[ended_by]


async def test_each_event_of_a_batch_speaks_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    def refusal(_: list[Any]) -> Any:
        return [{"code": code, "detail": "trouble"} for code in ("INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE")]

    async with batch_gateway(refusal) as address:
        lost = await lost_at(address, 2, lambda: "2 events wait" in caplog.text)
    assert may_be_stored(lost) == {0: True, 1: False}


async def test_a_failure_is_forgotten_once_an_event_is_stored() -> None:
    lost: list[CourierError] = []
    calls: list[int] = []
    release = asyncio.Event()

    async def refusal(batch: list[Any]) -> Any:
        calls.append(len(batch))
        if len(calls) == 1:
            return {"code": "SERVICE_UNAVAILABLE", "detail": "busy"}
        if len(calls) == 3:
            await release.wait()
        return None

    async with batch_gateway(refusal) as address, CourierClient(address, token="t1") as client:
        background = BackgroundPublisher(client, retry=FAST, on_error=lambda error, _: told(error))

        def told(error: Exception) -> None:
            assert isinstance(error, CourierError)
            lost.append(error)

        background.submit_event(progress("lost", 0))
        assert await background.flush()
        background.submit_event(progress("lost", 1))
        await until(lambda: len(calls) == 3)
        await background.aclose(timeout=0)
        release.set()
    assert [error.message for error in lost] == ["the publisher was closed, or its event loop has ended"]


async def test_events_whose_client_was_closed_before_say_so() -> None:
    lost: list[Exception] = []
    client = CourierClient(f"http://127.0.0.1:{free_port()}", token="t1")
    background = BackgroundPublisher(client, on_error=lambda error, _: lost.append(error))
    await client.aclose()
    background.submit_event(progress("lost", 0))
    await background.aclose()
    assert [*map(str, lost)] == ["the client was closed (CLOSED). Close the publisher before its client."]
