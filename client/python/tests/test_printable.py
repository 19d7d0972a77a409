"""No text of the other side makes a terminal or a log do anything."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import websockets

from conftest import FAST
from courier_client import CourierClient, CourierError, GapError, InvalidInputError
from servers import answering, tcp_server, websocket_server

DATA: Any = {"backtest_id": "b1", "progress": 0.5}
ESCAPES = "\x1b[31mred\r\nERROR forged\x00\x7f\x9b2J\u202e\u2028"
ESCAPED = r"\x1b[31mred\r\nERROR forged\x00\x7f\x9b2J\u202e\u2028"
PROBLEM = {
    "code": "BAD_REQUEST",
    "detail": f"detail {ESCAPES}",
    "request_id": f"id {ESCAPES}",
    "channel": f"channel {ESCAPES}",
    "issues": [{"path": f"path {ESCAPES}", "message": f"message {ESCAPES}"}],
}
BUSY = {"code": "TOO_MANY_REQUESTS", "requestId": ESCAPES}
TRPC = {"error": {"json": {"message": f"detail {ESCAPES}", "data": BUSY}}}
EVENT = {"id": "e1-1", "channel": "backtest.b1", "type": "backtest.progress", "metadata": {}, "data": {}, ESCAPES: 1}
GAP = {"reason": f"expired {ESCAPES}", "requested": "e1-1", "resumed_from": f"e1-2 {ESCAPES}"}
OK = {
    "no receipt": {"id": ESCAPES, "timestamp": ESCAPES},
    "no page": {"events": [EVENT | {"metadata": {ESCAPES: ESCAPES}}], "next": ESCAPES, "has_more": False},
}


def expect_printable(text: str) -> None:
    assert all(character.isprintable() or character == "\n" for character in text), ascii(text)


def check(error: CourierError) -> None:
    for text in (str(error), error.message, error.hint, error.request_id or "", str(error.args), str(error.issues)):
        expect_printable(text.replace("\n", "\x00"))


def http(status: str, body: Any, *headers: str) -> str:
    text = json.dumps(body)
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(text)}"))
    return f"{head}\r\n{text}"


@pytest.mark.parametrize(
    "answer", [http("400 Bad", PROBLEM), http("429 Busy", TRPC), *(http("200 OK", ok) for ok in OK.values())]
)
async def test_an_answer(answer: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with tcp_server(answering(answer)) as address:
        async with CourierClient(address, token="t1", retry=FAST, timeout=0.1, give_up_after=0.1) as client:
            for call in (client.history("**"), client.publish("backtest.b1", "backtest.progress", DATA)):
                with pytest.raises(CourierError) as caught:
                    await call
                check(caught.value)
            if " 200 " not in answer:
                with pytest.raises(CourierError) as caught:
                    await anext(client.subscribe("**"))
                check(caught.value)
    expect_printable(caplog.text)


async def test_a_gap() -> None:
    answer = http("200 OK", {"events": [], "next": ESCAPES, "has_more": False, "gap": GAP})
    async with tcp_server(answering(answer)) as address, CourierClient(address, token="t1") as client:
        with pytest.raises(GapError) as caught:
            await anext(client.iterate_history("**"))
    check(caught.value)


async def test_what_is_told_is_not_lost() -> None:
    async with tcp_server(answering(http("400 Bad", PROBLEM))) as address, CourierClient(address, token="t1") as client:
        with pytest.raises(InvalidInputError) as caught:
            await client.history("**")
    error = caught.value
    assert (error.message, error.request_id) == (f"detail {ESCAPED}", f"id {ESCAPED}")
    assert [(issue.path, issue.message) for issue in error.issues] == [(f"path {ESCAPED}", f"message {ESCAPED}")]


@pytest.mark.parametrize("code", [1008, 4400, 1009])
async def test_the_reason_of_a_close(code: int, caplog: pytest.LogCaptureFixture) -> None:
    async def serve(socket: websockets.ServerConnection) -> None:
        await socket.close(code, ESCAPES)

    async with websocket_server(serve) as address, CourierClient(address, token="t1", retry=FAST) as client:
        with pytest.raises(CourierError) as caught:
            await anext(client.subscribe("**"))
    check(caught.value)
    assert caught.value.message == ESCAPED
    expect_printable(caplog.text)


@pytest.mark.parametrize("message", [json.dumps(EVENT | {"metadata": {ESCAPES: 1}}), json.dumps(ESCAPES)])
async def test_a_message_that_is_none(message: str, caplog: pytest.LogCaptureFixture) -> None:
    async def serve(socket: websockets.ServerConnection) -> None:
        await socket.send(message)
        await socket.wait_closed()

    async with websocket_server(serve) as address, CourierClient(address, token="t1", retry=FAST) as client:
        with pytest.raises(CourierError) as caught:
            await anext(client.subscribe("**"))
    check(caught.value)
    expect_printable(caplog.text)


@pytest.mark.parametrize(
    "answer",
    [
        "HTTP/1.1 502 \x1b[31mred\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 407 \x1b[31mred\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 301 Away\r\nLocation: \x1b[31mred\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 301 Away\r\nLocation: \x9b31mred\r\nContent-Length: 0\r\n\r\n",
        "\x1b[31mred\r\n\r\n",
    ],
)
@pytest.mark.parametrize("through", [True, False])
async def test_a_server_that_is_no_gateway(answer: str, *, through: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "courier_client")
    async with tcp_server(answering(answer)) as address:
        base_url, proxy = ("https://gateway.example", address) if through else (address, "")
        options: Any = {"proxy": proxy, "timeout": 0.1, "give_up_after": 0.1, "retry": FAST}
        async with CourierClient(base_url, token="t1", **options) as client:
            for call in (client.history("**"), anext(client.subscribe("**"))):
                with pytest.raises(CourierError) as caught:
                    await call
                check(caught.value)
    expect_printable(caplog.text)
