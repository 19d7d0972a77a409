"""Servers that are no gateways, in the process of the tests."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import websockets

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def free_port() -> int:
    """A port on which no server listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def tcp_server(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Handles each connection with `serve`, then closes it. Yields the address. Ends when every client has left."""
    handlers: set[asyncio.Task[object] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, OSError):
            await serve(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        scheme = "http" if tls is None else "https"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.gather(*(handler for handler in handlers if handler is not None))
        await server.wait_closed()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Passes on what comes, and then the end."""
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@asynccontextmanager
async def deaf_server() -> AsyncIterator[str]:
    """A server that reads every request and never answers."""

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            pass

    async with tcp_server(serve) as address:
        yield address


def answering(answer: str) -> Serve:
    """A handler that answers every request with the same bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer.encode())
        await writer.drain()

    return serve


@asynccontextmanager
async def websocket_server(serve: Any) -> AsyncIterator[str]:
    async with websockets.serve(serve, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}"


Refusal = None | dict[str, Any] | list[dict[str, Any] | None]
"""A problem document for a call as a whole, or for some of its events."""


@asynccontextmanager
async def batch_gateway(
    refusal: Callable[[list[Any]], Refusal | Awaitable[Refusal]], refused_with: str = "429 Too Many Requests"
) -> AsyncIterator[str]:
    """A server that takes events, one or several in a call, except those that `refusal` refuses. It may wait."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            sent = json.loads(await reader.readexactly(length))
            batch = sent.get("json", [sent])
            refused = refusal(batch)
            problem = await refused if isinstance(refused, Awaitable) else refused
            outcomes = [receipt(number, event) for number, event in enumerate(batch)]
            if isinstance(problem, list):
                outcomes = [taken if why is None else error(why) for taken, why in zip(outcomes, problem, strict=True)]
                problem = None
            taken = {"result": {"data": {"json": outcomes}}} if "json" in sent else outcomes[0]
            answer = json.dumps(problem or taken)
            status = refused_with if problem else "200 OK"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(answer)}\r\n\r\n{answer}".encode())
            await writer.drain()

    async with tcp_server(serve) as address:
        yield address


def error(problem: dict[str, Any]) -> dict[str, Any]:
    """A problem document as the error of one event of several."""
    names = {"detail": "message", "retry_after_ms": "retryAfterMs"}
    return {"error": {names.get(name, name): value for name, value in problem.items()}}


def receipt(number: int, event: Any) -> dict[str, Any]:
    return {
        "id": f"e1-{number}",
        "channel": event["channel"],
        "type": event["type"],
        "timestamp": "2026-01-02T03:04:05.678Z",
        "duplicate": False,
    }
