"""Passwords and tokens are in no error, no representation and no log."""

from __future__ import annotations

import asyncio
import base64
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from courier_client import CourierClient, CourierError, InvalidInputError, SyncCourierClient
from processes import Gateway
from servers import answering, tcp_server

SECRET = "s3cr3t-w0rd"  # noqa: S105 (it opens nothing)
PROXIES = [
    f"http://me:{SECRET}/word@proxy.example:3128",
    f"http://{SECRET}:port@proxy.example:{SECRET}",
    f"http://me:{SECRET}@[proxy.example:3128",
    f"http://me:{SECRET}@proxy.example\u2100:3128",
    f"http://me:{SECRET}@proxy.example:99999",
    f"http://me:{SECRET}@proxy.example/path",
    f"http://me:{SECRET}@proxy.example?query",
    f"http://me:{SECRET}@proxy example",
    f"http://{SECRET}@proxy.example",
    f"http://me:{SECRET}@proxy..example",
    f"http://me:{SECRET}@256.1.1.1",
    f"ftp://me:{SECRET}@proxy.example",
    f"me:{SECRET}",
    f"me:{SECRET}@",
    f"me@{SECRET}:{SECRET}",
]
ADDRESSES = [
    f"http://me:{SECRET}@localhost:8766",
    f"http://me:{SECRET}@localhost:port",
    f"http://localhost:{SECRET}",
    f"http://me:{SECRET}@[localhost",
    f"http://me:{SECRET}@localhost\u2100",
    f"http://localhost?token={SECRET}",
    f"http://localhost#{SECRET}",
    f"http://{SECRET} x",
    f"localhost:{SECRET}",
    SECRET,
]


def told_of(error: BaseException) -> str:
    """All that a caller or a log sees of an error, with what it was raised from."""
    fields = [repr(error), *(str(field) for field in vars(error).values())]
    return "".join([*fields, *traceback.format_exception(error)])


@pytest.mark.parametrize("kind", [CourierClient, SyncCourierClient])
@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("proxy", proxy) for proxy in PROXIES],
        *[("base_url", address) for address in ADDRESSES],
        *[
            (option, wrap(SECRET))
            for option in ("proxy", "base_url", "contract", "retry", "timeout", "ssl_context", "token")
            for wrap in (str.encode, lambda secret: [secret], lambda secret: {"token": secret})
        ],
        *[(option, SECRET) for option in ("contract", "retry", "timeout", "attempt_timeout", "ssl_context")],
        ("service_name", f"{SECRET}.{SECRET * 9}"),
    ],
)
def test_a_refused_option_is_not_repeated(kind: Callable[..., Any], option: str, value: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        kind(**{"token": "t1", option: value})
    assert SECRET not in told_of(caught.value)


@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
def test_a_refused_variable_is_not_repeated(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for proxy in PROXIES:
        monkeypatch.setenv(name, proxy)
        with pytest.raises(InvalidInputError, match=f"^{name} ") as caught:
            CourierClient("http://localhost:8766")
        assert SECRET not in told_of(caught.value)


@pytest.mark.parametrize("token", [f"Bearer {SECRET}", f"two {SECRET}", f"{SECRET}\u00e9", SECRET])
async def test_a_token_is_not_repeated(token: str, gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=token) as client:
        for call in (client.history("**"), anext(client.subscribe("**"))):
            with pytest.raises(CourierError) as caught:
                await call
            assert SECRET not in told_of(caught.value)
        assert SECRET not in repr(client)


async def test_a_log_of_everything_has_no_password_or_token(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = gateway.token()
    async with CourierClient(gateway.url, token=token) as client, client.subscribe("backtest.logged"):
        await client.history("backtest.logged")
    with SyncCourierClient(gateway.url, token=token) as sync:
        await asyncio.to_thread(sync.history, "backtest.logged")
    async with tcp_server(answering("HTTP/1.1 407 Who are you?\r\nContent-Length: 0\r\n\r\n")) as proxy:
        through = proxy.replace("//", f"//me:{SECRET}@")
        async with CourierClient("http://gateway.example", token=token, proxy=through, timeout=0.2) as client:
            for call in (client.history("**"), anext(client.subscribe("**"))):
                with pytest.raises(CourierError) as caught:
                    await call
                assert SECRET not in told_of(caught.value)
    assert "X-Courier-Client" in caplog.text, "the headers of the WebSocket are logged"
    assert token not in caplog.text
    assert SECRET not in caplog.text
    assert base64.b64encode(f"me:{SECRET}".encode()).decode() not in caplog.text
