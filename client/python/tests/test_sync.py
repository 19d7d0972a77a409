"""The client without asyncio, which makes the same calls as the asynchronous client."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from conftest import FAST
from courier_client import (
    ClosedError,
    CourierTimeoutError,
    InvalidInputError,
    SyncCourierClient,
    UnauthorizedError,
    UnavailableError,
    events,
)
from processes import Gateway, ScriptedServer
from servers import deaf_server, free_port

PROGRESS: events.BacktestProgressDict = {"backtest_id": "b1", "progress": 0.5}


def test_publish_and_read(gateway: Gateway) -> None:
    with SyncCourierClient(gateway.url, "script", gateway.token()) as client:
        receipt = client.publish("user.sync", "backtest.progress", PROGRESS, correlation_id="run-7")
        caused = events.backtest_progress(backtest_id="x", progress=1, channel="user.sync", causation_id=receipt.id)
        again = client.publish_event(caused)
        page = client.history("user.sync")
    assert [event.id for event in page.events] == [receipt.id, again.id]
    assert page.events[0].metadata.correlation_id == "run-7"
    assert page.events[1].metadata.causation_id == receipt.id


async def test_every_attempt_has_the_same_key(scripted_server: ScriptedServer) -> None:
    vector: dict[str, Any] = {
        "name": "trouble",
        "why": "What may pass is tried again.",
        "client": {"token": ["t1", "t2"]},
        "publish": {"channel": "backtest.b1", "type": "backtest.progress", "data": PROGRESS},
        "answers": [
            "drop",
            {"half": "e1-1"},
            {"status": 502},
            {"error": {"code": "UNAUTHORIZED"}},
            {"expect": {"token": "t2"}, "error": {"code": "SERVICE_UNAVAILABLE", "retry_after_ms": 1000}},
            {"expect": {"token": "t2"}, "receipt": "e1-1"},
        ],
        "result": {"receipt": "e1-1"},
    }
    tokens = iter(["t1", "t2"])
    async with scripted_server.play(vector) as run:
        with SyncCourierClient(run.url, token=lambda: next(tokens), retry=FAST) as client:
            receipt = await asyncio.to_thread(client.publish, "backtest.b1", "backtest.progress", PROGRESS)
    assert receipt.id == "e1-1"


def test_refusals_are_not_tried_again(gateway: Gateway) -> None:
    with SyncCourierClient(gateway.url, token=gateway.token()) as client:
        with pytest.raises(InvalidInputError) as caught:
            client.publish("backtest.b1", "backtest.progress", {"backtest_id": "b1", "progress": 2})
    assert [issue.path for issue in caught.value.issues] == ["data.progress"]
    calls: list[str] = []

    def token() -> str:
        calls.append("wrong")
        return f"wrong{len(calls)}"

    with SyncCourierClient(gateway.url, token=token) as client:
        with pytest.raises(UnauthorizedError):
            client.publish("backtest.b1", "backtest.progress", PROGRESS)
    assert len(calls) == 2


def test_a_gateway_that_is_away_is_reported_in_time() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with SyncCourierClient(address, token="t1", retry=FAST, timeout=0.2) as client:
        began = time.monotonic()
        with pytest.raises(UnavailableError, match=address) as caught:
            client.publish("backtest.b1", "backtest.progress", PROGRESS)
        assert time.monotonic() - began < 2
    assert caught.value.idempotency_key is not None


async def test_a_gateway_that_does_not_answer_times_out() -> None:
    async with deaf_server() as address:
        with SyncCourierClient(address, token="t1", timeout=0.1) as client:
            with pytest.raises(CourierTimeoutError):
                await asyncio.to_thread(client.publish, "backtest.b1", "backtest.progress", PROGRESS)


def test_several_threads_may_share_it(gateway: Gateway) -> None:
    def publish(_: int) -> str:
        return client.publish("user.threads", "backtest.progress", PROGRESS).id

    threads = threading.active_count()
    with SyncCourierClient(gateway.url, token=gateway.token) as client, ThreadPoolExecutor(4) as pool:
        ids = [*pool.map(publish, range(40))]
    assert len({*ids}) == 40
    # The client starts no thread.
    assert threading.active_count() == threads


def test_what_cannot_work_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURIER_TOKEN", raising=False)
    with SyncCourierClient("http://127.0.0.1:1") as client:
        with pytest.raises(UnauthorizedError, match="COURIER_TOKEN"):
            client.publish("backtest.b1", "backtest.progress", PROGRESS)
    with pytest.raises(ClosedError):
        client.publish("backtest.b1", "backtest.progress", PROGRESS)

    async def token() -> str:
        return "t1"

    with pytest.raises(InvalidInputError, match="token"):
        SyncCourierClient(token=token)  # type: ignore[arg-type]
