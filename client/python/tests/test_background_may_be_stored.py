"""What a background publisher says of events that were lost: whether they may have been stored."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from courier_client import BackgroundPublisher, Backoff, CourierClient, CourierError, EventDraft
from servers import batch_gateway, free_port, tcp_server
from submitting import progress
from waiting import until

SLOW = Backoff(initial=10_000, maximum=10_000)
Lost = dict[int, bool]


async def lost_at(address: str, events: int, until_then: Any, ended_by: str = "publisher") -> Lost:
    """Submits events, and ends when something has happened. Returns which of them may be stored."""
    lost: Lost = {}

    def on_error(error: Exception, event: EventDraft[Any]) -> None:
        assert isinstance(error, CourierError)
        assert error.code == "CLOSED"
        lost[event.data["bars_processed"]] = error.may_be_stored

    async with CourierClient(address, token="t1", retry=SLOW) as client:
        background = BackgroundPublisher(client, retry=SLOW, on_error=on_error)
        for number in range(events):
            background.submit_event(progress("lost", number))
        await until(until_then)
        if ended_by == "client":
            await client.aclose(timeout=0)
        await background.aclose(timeout=0)
    return lost


async def test_what_was_never_sent_is_not_stored(caplog: pytest.LogCaptureFixture) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    assert await lost_at(address, 2, lambda: "2 events wait" in caplog.text) == {0: False, 1: False}


@pytest.mark.parametrize("ended_by", ["publisher", "client"])
async def test_what_is_being_sent_may_be_stored(ended_by: str) -> None:
    connected = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b'"bars_processed":1')
        connected.set()
        await reader.read()

    async with tcp_server(serve) as address:
        assert await lost_at(address, 2, connected.is_set, ended_by) == {0: True, 1: True}


async def test_each_event_of_a_batch_speaks_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    def refusal(_: list[Any]) -> Any:
        return [{"code": code, "detail": "trouble"} for code in ("INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE")]

    async with batch_gateway(refusal) as address:
        assert await lost_at(address, 2, lambda: "2 events wait" in caplog.text) == {0: True, 1: False}
