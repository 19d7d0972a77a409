"""The delay that a gateway, or a proxy before it, asks for."""

from __future__ import annotations

import asyncio
import logging
import math
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest

from courier_client import Backoff, CourierClient, CourierError, UnavailableError, events
from courier_client._refusals import answer_error
from servers import answering, tcp_server
from waiting import until

DRAFT = events.backtest_progress(backtest_id="b1", progress=0.5)
AT_ONCE = Backoff(initial=0, busy=0)
IN_A_YEAR = datetime.now(timezone.utc) + timedelta(days=365)
HEADERS = [
    ("0", 0, 0),
    ("1.5", 1.5, 1.5),
    ("59", 59, 59),
    ("3600", 3600, 60),
    ("9" * 400, math.inf, 60),
    ("-5", 0, 0),
    (format_datetime(IN_A_YEAR, usegmt=True), 365 * 86_400, 60),
    (IN_A_YEAR.strftime("%a %b %d %H:%M:%S %Y"), 365 * 86_400, 60),
    ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
    ("Wed, 21 Oct 9999999 07:28:00 GMT", None, 0),
    ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None, 0),
    ("Mon, 01 Jan 2029 99999999999999999999:00:00 GMT", None, 0),
    ("Mon, 01 Jan 2029 00:00:00 +99999999999999999999", None, 0),
    ("nan", None, 0),
    ("inf", None, 0),
    ("1_000", None, 0),
    ("soon", None, 0),
    ("", None, 0),
]
DOCUMENTS: list[tuple[str, float | None, float]] = [
    ("1500", 1.5, 1.5),
    ("3600000", 3600, 60),
    ("1e999", 1.8e305, 60),
    ("1" + "0" * 400, 1.8e305, 60),
    ("-1", 0, 0),
    ("NaN", None, 0),
    ('"1000"', None, 0),
    ("null", None, 0),
]


@pytest.mark.parametrize(("header", "told", "honoured"), HEADERS)
def test_a_header_is_told_as_it_is_and_honoured_up_to_a_minute(
    header: str, told: float | None, honoured: float
) -> None:
    expect(answer_error(503, {"retry-after": header}, b"", "c1"), told, honoured)


@pytest.mark.parametrize(("document", "told", "honoured"), DOCUMENTS)
def test_a_delay_in_an_error_is_told_as_it_is_and_honoured_up_to_a_minute(
    document: str, told: float | None, honoured: float
) -> None:
    data = f'{{"code":"TOO_MANY_REQUESTS","retryAfterMs":{document}}}'
    body = f'{{"error":{{"json":{{"message":"busy","data":{data}}}}}}}'
    expect(answer_error(429, {}, body.encode(), "c1"), told, honoured)


def expect(error: CourierError, told: float | None, honoured: float) -> None:
    assert error.retry_after == (told if told is None else pytest.approx(told, rel=0.01))
    assert AT_ONCE.delay_after(error, 0) == pytest.approx(honoured, abs=0.001)


@pytest.mark.parametrize("what", ["publish", "subscribe"])
async def test_a_client_waits_for_a_minute_at_most(what: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "courier_client")
    answer = "HTTP/1.1 503 Busy\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n"
    async with tcp_server(answering(answer)) as address, CourierClient(address, token="t1", retry=AT_ONCE) as client:
        subscription = client.subscribe("backtest.b1")
        call: Any = client.publish_event(DRAFT, timeout=None) if what == "publish" else anext(subscription)
        waiting = asyncio.ensure_future(call)
        await until(lambda: "again in 60.00 s" in caplog.text)
        waiting.cancel()
        await asyncio.wait([waiting])
        if what == "subscribe":
            assert isinstance(subscription.last_error, UnavailableError)
            assert subscription.last_error.retry_after == 86400
