"""The order of what is published and what is submitted on one channel, at a gateway that holds back an answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from courier_client import BackgroundPublisher, ClosedError, CourierClient, EventDraft, UnreachableError, events
from servers import tcp_server
from waiting import until

HELD = 0


def progress(number: int) -> EventDraft[Any]:
    return events.backtest_progress(backtest_id="b1", progress=0.5, bars_processed=number)


class HoldingServer:
    """Stores single events, the one with the number `HELD` once it is told to."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.stored: list[int] = []
        self.release = asyncio.Event()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        async with tcp_server(self._serve) as address:
            try:
                yield address
            finally:
                self.release.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            event = json.loads(await reader.readexactly(length))
            number = event["data"]["bars_processed"]
            self.asked.append(number)
            if number == HELD:
                await self.release.wait()
            self.stored.append(number)
            receipt = {"id": f"e1-{len(self.stored)}", "channel": event["channel"], "type": event["type"]}
            answer = json.dumps({**receipt, "timestamp": "2026-01-02T03:04:05.678Z", "duplicate": False})
            writer.write(f"HTTP/1.1 201 Created\r\nContent-Length: {len(answer)}\r\n\r\n{answer}".encode())
            await writer.drain()


async def test_a_publish_waits_for_the_events_of_every_publisher() -> None:
    server = HoldingServer()
    async with (
        server.listening() as address,
        CourierClient(address, token="t1") as client,
        BackgroundPublisher(client) as one,
        BackgroundPublisher(client) as two,
    ):
        one.submit_event(progress(HELD))
        await until(lambda: server.asked == [HELD])
        two.submit_event(progress(1))
        publishing = asyncio.ensure_future(client.publish_event(progress(2)))
        assert await two.flush()
        with pytest.raises(UnreachableError, match=r"not sent within 0\.05 s, as earlier events .* wait"):
            await client.publish_event(progress(3), timeout=0.05)
        server.release.set()
        await publishing
    assert server.stored == [1, HELD, 2]


async def test_closing_ends_a_publish_that_waits_for_earlier_events() -> None:
    server = HoldingServer()
    async with server.listening() as address:
        client = CourierClient(address, token="t1")
        background = BackgroundPublisher(client)
        background.submit_event(progress(HELD))
        await until(lambda: server.asked == [HELD])
        publishing = asyncio.ensure_future(client.publish_event(progress(1)))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(client.aclose(timeout=None))
        # The client still waits for the answer to the event that was submitted.
        with pytest.raises(ClosedError, match=r"^the client was closed \("):
            await asyncio.wait_for(publishing, 5)
        assert not closing.done()
        server.release.set()
        await closing
        assert await background.flush()
        await background.aclose()
    assert server.stored == [HELD]
