"""Whatever answers at the address of the gateway decides how long its answer is, and not how much memory that takes."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from courier_client import CourierClient, SyncCourierClient, UnexpectedAnswerError
from servers import tcp_server

MEBIBYTE = 1024 * 1024
PLAIN = b" " * MEBIBYTE
PACKED = gzip.compress(PLAIN)


@asynccontextmanager
async def endless(chunk: bytes, encoding: str) -> AsyncIterator[tuple[str, list[int]]]:
    """Answers with the chunk again and again, until the client leaves. Yields the address, and what was sent."""
    sent = [0]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nConnection: close\r\n\r\n".encode())
        while True:
            writer.write(chunk)
            await writer.drain()
            sent[0] += len(chunk)

    async with tcp_server(serve) as address:
        yield address, sent


@pytest.mark.parametrize(
    ("chunk", "encoding", "problem"),
    [
        (PLAIN, "identity", "the answer has more than 16777216 bytes"),
        (PACKED, "gzip", r"the answer is packed \(gzip\)"),
    ],
)
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_an_answer_without_an_end_is_refused(kind: str, chunk: bytes, encoding: str, problem: str) -> None:
    async with endless(chunk, encoding) as (address, sent):
        reading = read(address) if kind == "async" else asyncio.to_thread(read_sync, address)
        with pytest.raises(UnexpectedAnswerError, match=problem):
            await reading
        assert sent[0] < 64 * MEBIBYTE


async def read(address: str) -> None:
    async with CourierClient(address, token="t1") as client:
        await client.history("global")


def read_sync(address: str) -> None:
    with SyncCourierClient(address, token="t1") as client:
        client.history("global")
