"""Proxies: one rule for what publishes and what subscribes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from conftest import FAST
from courier_client import (
    CourierClient,
    InvalidInputError,
    SyncCourierClient,
    UnexpectedAnswerError,
    UnreachableError,
    events,
)
from courier_client._proxy import proxy_for
from processes import Gateway
from servers import answering, free_port, pump, tcp_server

DRAFT = events.backtest_progress(backtest_id="proxied", progress=0.5)
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Proxy:
    """A forwarding proxy that counts. It forwards one request in absolute form for each connection, and tunnels."""

    def __init__(self) -> None:
        self.tunnels = 0
        self.forwarded = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        async with tcp_server(self._serve) as address:
            yield address

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        if method == "CONNECT":
            self.tunnels += 1
            host, _, port = target.rpartition(":")
            inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            self.forwarded += 1
            parts = urlsplit(target)
            inner_reader, inner_writer = await asyncio.open_connection(parts.hostname, parts.port)
            path = target.partition(parts.netloc)[2]
            lines = [line for line in head.split(b"\r\n")[1:] if not line.lower().startswith(b"connection:")]
            inner_writer.write(b"\r\n".join([f"{method} {path} HTTP/1.1\r\nConnection: close".encode(), *lines]))
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))


async def publish_and_receive(client: CourierClient) -> None:
    async with client.subscribe("backtest.proxied") as subscription:
        receipt = await client.publish_event(DRAFT)
        assert (await anext(subscription)).id == receipt.id


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["http", "ws"])
async def test_the_environment_names_the_proxy(
    name: str, scheme: str, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy()
    async with proxy.listening() as address:
        monkeypatch.setenv(name, address)
        async with CourierClient(gateway.url.replace("http", scheme), token=gateway.token()) as client:
            await publish_and_receive(client)
        assert (proxy.forwarded, proxy.tunnels) == (1, 1)
        with SyncCourierClient(gateway.url, token=gateway.token()) as sync:
            await asyncio.to_thread(sync.publish_event, DRAFT)
        assert (proxy.forwarded, proxy.tunnels) == (2, 1)


async def test_an_option_names_the_proxy(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "*")
    async with proxy.listening() as address:
        async with CourierClient(gateway.url, token=gateway.token(), proxy=address) as client:
            await publish_and_receive(client)
        assert (proxy.forwarded, proxy.tunnels) == (1, 1)
        monkeypatch.delenv("no_proxy")
        async with CourierClient(gateway.url, token=gateway.token(), proxy="") as client:
            await publish_and_receive(client)
        assert (proxy.forwarded, proxy.tunnels) == (1, 1)


async def test_a_gateway_that_is_exempt_is_reached_without_a_proxy(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "127.0.0.0/8")
    async with CourierClient(gateway.url, token=gateway.token(), retry=FAST) as client:
        await publish_and_receive(client)


async def test_a_proxy_that_is_away_or_refuses_is_reported(gateway: Gateway) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    async with CourierClient(gateway.url, token="t1", retry=FAST, proxy=away, timeout=0.1, give_up_after=0.1) as client:
        with pytest.raises(UnreachableError, match=re.escape(gateway.url)):
            await client.publish_event(DRAFT)
        with pytest.raises(UnreachableError, match=re.escape(gateway.url)):
            await anext(client.subscribe("backtest.proxied"))
    refusing = answering("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
    async with tcp_server(refusing) as address:
        async with CourierClient(gateway.url, token="t1", retry=FAST, proxy=address, give_up_after=0.1) as client:
            with pytest.raises(UnreachableError, match="502"):
                await anext(client.subscribe("backtest.proxied"))
    unauthorized = answering("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    async with tcp_server(unauthorized) as address:
        for url in (gateway.url, "https://courier.example"):
            async with CourierClient(url, token="t1", retry=FAST, proxy=address) as client:
                with pytest.raises(UnexpectedAnswerError, match="407"):
                    await client.publish_event(DRAFT)
                with pytest.raises(UnexpectedAnswerError, match="407"):
                    await anext(client.subscribe("backtest.proxied"))


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_a_socks_proxy_leads_to_the_gateway(scheme: str, gateway: Gateway) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        _, _, _, kind = await reader.readexactly(4)
        await reader.readexactly(4 if kind == 1 else (await reader.readexactly(1))[0])
        port = int.from_bytes(await reader.readexactly(2), "big")
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    async with tcp_server(serve) as address:
        proxy = address.replace("http", scheme)
        async with CourierClient(gateway.url, token=gateway.token(), proxy=proxy) as client:
            await publish_and_receive(client)
        with SyncCourierClient(gateway.url, token=gateway.token(), proxy=proxy) as sync:
            await asyncio.to_thread(sync.publish_event, DRAFT)
    assert connections == 3


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "http://courier.example", None),
        ({"http_proxy": "http://p:1"}, "http://courier.example", "http://p:1"),
        ({"http_proxy": "p:1"}, "http://courier.example", "http://p:1"),
        ({"http_proxy": "http://p:1"}, "https://courier.example", None),
        ({"https_proxy": "http://p:1"}, "https://courier.example", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1/"}, "https://courier.example", "http://p:1"),
        ({"http_proxy": "http://low:1", "HTTP_PROXY": "http://up:1"}, "http://courier.example", "http://low:1"),
        ({"http_proxy": "", "HTTP_PROXY": "http://up:1"}, "http://courier.example", None),
        ({"all_proxy": "http://all:1", "http_proxy": "http://p:1"}, "http://courier.example", "http://p:1"),
        ({"all_proxy": "http://all:1", "http_proxy": "http://p:1"}, "https://courier.example", "http://all:1"),
        # A request to a CGI script sets HTTP_PROXY with its header Proxy.
        ({"HTTP_PROXY": "http://up:1", "REQUEST_METHOD": "GET"}, "http://courier.example", None),
        ({"http_proxy": "http://low:1", "REQUEST_METHOD": "GET"}, "http://courier.example", "http://low:1"),
    ],
)
def test_the_variable_that_decides(
    environment: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url, None) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "url", "exempt"),
    [
        ("*", "http://courier.example", True),
        ("courier.example", "http://courier.example", True),
        ("Courier.Example", "http://courier.example", True),
        ("example", "http://courier.example", True),
        (".example", "http://courier.example", True),
        ("*.example", "http://courier.example", True),
        ("ier.example", "http://courier.example", False),
        ("other.example", "http://courier.example", False),
        ("other, courier.example", "http://courier.example", True),
        ("other courier.example", "http://courier.example", True),
        ("courier.example:8766", "http://courier.example:8766", True),
        ("courier.example:8766", "http://courier.example:80", False),
        ("courier.example:80", "http://courier.example", True),
        ("courier.example:443", "https://courier.example", True),
        ("10.0.0.0/8", "http://10.1.2.3", True),
        ("10.0.0.0/8", "http://11.1.2.3", False),
        ("10.1.2.3", "http://10.1.2.3:8766", True),
        ("10.1.2.3:8766", "http://10.1.2.3:8766", True),
        ("10.1.2.3:8766", "http://10.1.2.3:80", False),
        ("10.0.0.0/8", "http://courier.example", False),
        ("fd00::/8", "http://[fd00::1]:8766", True),
        ("[fd00::1]:8766", "http://[fd00::1]:8766", True),
        ("::1", "http://[::1]", True),
        ("", "http://courier.example", False),
        (",", "http://courier.example", False),
    ],
)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_what_is_exempt(no_proxy: str, url: str, exempt: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "http://p:1")
    monkeypatch.setenv(name, no_proxy)
    assert (proxy_for(url, None) is None) is exempt


@pytest.mark.parametrize(
    "address",
    [
        "ftp://p:1",
        "http://",
        "http://p:port",
        "http://p/path",
        "http://me@p",
        "a b",
        "http://\u2603",
        "p..q",
        "256.1.1.1",
        5,
    ],
)
def test_a_wrong_proxy_is_refused_at_once(address: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (CourierClient, SyncCourierClient):
        with pytest.raises(InvalidInputError, match=r"^proxy (is no|must be the) address of a proxy") as caught:
            kind(token="t1", proxy=address)
        assert [issue.path for issue in caught.value.issues] == ["proxy"]
    monkeypatch.setenv("ALL_PROXY", str(address) if isinstance(address, str) else "http://")
    with pytest.raises(InvalidInputError, match=r"^ALL_PROXY is no address"):
        CourierClient(token="t1")


def test_a_socks_proxy_needs_what_speaks_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("courier_client._proxy.find_spec", lambda _name: None)
    for kind in (CourierClient, SyncCourierClient):
        with pytest.raises(InvalidInputError, match=r"^proxy is a SOCKS proxy") as caught:
            kind(token="t1", proxy="socks5://127.0.0.1:1080")
        assert caught.value.hint == "Install courier-client[socks]."
