"""Publishing with the asynchronous client. The conformance vectors cover repeated attempts and their keys too."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from conftest import FAST
from courier_client import (
    BackgroundPublisher,
    CourierClient,
    CourierTimeoutError,
    EventDraft,
    ForbiddenError,
    InvalidInputError,
    RateLimitedError,
    SyncCourierClient,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
    channels,
    events,
    models,
)
from processes import Gateway, ScriptedServer, token
from servers import answering, deaf_server, free_port, tcp_server
from waiting import until

PROGRESS: events.BacktestProgressDict = {"backtest_id": "b1", "progress": 0.5}


async def test_the_call_of_the_platform_works_as_it_is(gateway: Gateway) -> None:
    async with CourierClient(base_url=gateway.url, service_name="prophet", token=gateway.token("prophet")) as client:
        before = datetime.now(timezone.utc) - timedelta(seconds=5)
        receipt = await client.publish(
            channel="user.123", event_type="strategy.generation.started", data={"strategy_id": "strat_abc"}
        )
        assert (receipt.channel, receipt.type) == ("user.123", "strategy.generation.started")
        assert not receipt.duplicate
        assert before < receipt.timestamp < datetime.now(timezone.utc) + timedelta(seconds=5)
        page = await client.history("user.123")
    (event,) = page.events
    assert event.id == receipt.id
    assert isinstance(event, events.StrategyGenerationStartedEvent)
    assert event.data.strategy_id == "strat_abc"
    assert event.metadata.source == "prophet"


async def test_the_options_of_an_event_arrive(gateway: Gateway) -> None:
    happened = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=timezone(timedelta(hours=2)))
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        cause = await client.publish("backtest.said", "backtest.started", {"backtest_id": "said"})
        await client.publish(
            "backtest.said",
            "backtest.completed",
            models.BacktestCompletedData(
                backtest_id="said",
                metrics=models.BacktestCompletedMetrics(total_return=0.25, max_drawdown=0.1, trades=3),
            ),
            correlation_id="run-7",
            causation_id=cause.id,
            user_id="ada",
            timestamp=happened,
            traceparent=trace,
        )
        _, event = (await client.history("backtest.said")).events
    assert event.metadata.model_dump() == {
        "timestamp": happened,
        "source": "cartographe",
        "correlation_id": "run-7",
        "causation_id": cause.id,
        "user_id": "ada",
        "traceparent": trace,
    }
    assert isinstance(event, events.BacktestCompletedEvent)
    assert event.data.metrics.trades == 3


async def test_what_an_event_led_to_belongs_to_its_piece_of_work(gateway: Gateway) -> None:
    done: events.BacktestProgressDict = {"backtest_id": "led", "progress": 1}
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        first = await client.publish_event(events.backtest_started(backtest_id="led"))
        builder = events.backtest_progress(backtest_id="led", progress=0.5, causation_id=first.id)
        second = await client.publish_event(builder)
        async with BackgroundPublisher(client) as background:
            background.submit("backtest.led", "backtest.progress", done, causation_id=second.id)
            assert await background.flush()
        told = [event.metadata for event in (await client.history("backtest.led")).events]
        with pytest.raises(InvalidInputError) as refused:
            await client.publish("backtest.led", "backtest.progress", done, causation_id="event 1")
    assert [(metadata.correlation_id, metadata.causation_id) for metadata in told] == [
        (first.id, None),
        (first.id, first.id),
        (second.id, second.id),
    ]
    assert [issue.path for issue in refused.value.issues] == ["metadata.causation_id"]


async def test_python_values_are_written_as_the_contract_has_them(gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        await client.publish(
            "backtest.values",
            "backtest.started",
            {"backtest_id": "values", "from": date(2020, 1, 2), "bars_total": 3},
        )
        (started,) = (await client.history("backtest.values")).events
    async with CourierClient(gateway.url, token=gateway.token("chevalier")) as client:
        await client.publish(
            "strategy.values",
            "position.updated",
            {"symbol": "SPX", "quantity": Decimal("1E+3"), "average_price": Decimal("12.50")},
        )
        (updated,) = (await client.history("strategy.values", types="position.updated")).events
    assert isinstance(started, events.BacktestStartedEvent)
    assert started.data.from_ == date(2020, 1, 2)
    assert isinstance(updated, events.PositionUpdatedEvent)
    assert str(updated.data.quantity) == "1000"
    assert str(updated.data.average_price) == "12.50"


async def test_a_repeated_key_is_stored_once(gateway: Gateway) -> None:
    draft = events.backtest_progress(backtest_id="once", progress=0.5, idempotency_key="a-key-of-mine")
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        first = await client.publish_event(draft)
        second = await client.publish_event(draft)
        other = await client.publish_event(events.backtest_progress(backtest_id="once", progress=0.6))
    assert (second.id, second.duplicate) == (first.id, True)
    assert (other.id != first.id, other.duplicate) == (True, False)


async def test_refusals_name_the_fault(gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        with pytest.raises(InvalidInputError) as invalid:
            await client.publish("backtest.b1", "backtest.progress", {"backtest_id": "b1", "progress": 2})
        with pytest.raises(ForbiddenError, match=r"may not publish trade\.executed"):
            await client.publish_event(
                events.trade_executed(
                    trade_id="t1", order_id="o1", symbol="SPX", side="buy", quantity=1, price="2", strategy_id="s1"
                )
            )
    assert [issue.path for issue in invalid.value.issues] == ["data.progress"]
    assert invalid.value.request_id is not None
    assert invalid.value.idempotency_key is not None
    async with CourierClient(gateway.url, token="wrong") as client:
        with pytest.raises(UnauthorizedError, match="COURIER_TOKEN"):
            await client.publish("backtest.b1", "backtest.progress", PROGRESS)


async def test_refusals_are_told_in_the_words_of_no_language(gateway: Gateway) -> None:
    wrong: dict[str, Any] = {"progress": None, "bars_total": 1.5, "bars_processed": -1, "message": "", "x": 1}
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        with pytest.raises(InvalidInputError) as caught:
            await client.publish_event(EventDraft("backtest.b1", "backtest.progress", wrong))
        with pytest.raises(InvalidInputError) as limited:
            await client.history("backtest.b1", limit=0)
    assert {issue.path: issue.message for issue in caught.value.issues} == {
        "data.backtest_id": "is required",
        "data.progress": "must be a number",
        "data.bars_processed": "must be at least 0",
        "data.bars_total": "must be an integer",
        "data.message": "must have at least 1 character",
        "data.x": "is not a known key",
    }
    assert [issue.message for issue in limited.value.issues] == ["must be at least 1"]
    assert not re.search("undefined|null|received|Invalid input:", str(caught.value) + str(limited.value))


async def test_a_misspelt_name_is_told(gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token("root", "admin")) as client:
        for channel, kind, data, message in (
            ("backtset.b1", "backtest.progress", PROGRESS, "channel 'backtset.b1' is no channel of this contract"),
            ("backtest.b1", "backtest.progres", PROGRESS, "type: must be one of backtest.started"),
            ("backtest.b1", "backtest.progress", {**PROGRESS, "mesage": "x"}, "data.mesage: is not a known key"),
        ):
            with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}"):
                await client.publish_event(EventDraft(channel, kind, data))
        with pytest.raises(TypeError, match="'corelation_id'"):
            await client.publish("backtest.b1", "backtest.progress", PROGRESS, corelation_id="c")  # type: ignore[call-overload]
        for types, selected, message in (
            ("backtest.progres", "backtest.*", 'types.0: must be one of "backtest.started"'),
            (None, "backtset.*", '"backtset.*" can match no channel; channels are global'),
            (None, None, "channels must be a name or a list of names, not None"),
            (5, "backtest.*", "types must be a name or a list of names, not 5"),
        ):
            with pytest.raises(InvalidInputError, match=f"^{re.escape(message)}"):
                await client.history(selected, types=types)  # type: ignore[arg-type]
        with pytest.raises(
            InvalidInputError, match=r"^on_gap must be 'continue', 'fail' or a function, not 'contineu'"
        ) as caught:
            client.iterate_history("**", on_gap="contineu")  # type: ignore[arg-type]
        assert [issue.path for issue in caught.value.issues] == ["on_gap"]
    with pytest.raises(InvalidInputError, match=r"^contract must be a module that `courier contract export"):
        CourierClient(contract=json)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"^there is no id for backtest\.\{id\}"):
        channels.backtest(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "channel", ["backtest", "backtest.", "backtest.a b", "backtest.a.b", "nowhere.x", "", "global\n"]
)
async def test_a_channel_that_there_is_not_is_refused_before_it_is_sent(channel: str) -> None:
    forms = r"global, user\.\{id\}, strategy\.\{id\}, backtest\.\{id\}, forge\.job\.\{id\}"
    async with CourierClient("http://127.0.0.1:1", token="t1") as client:
        with pytest.raises(InvalidInputError, match=forms) as caught:
            await client.publish(channel, "backtest.progress", PROGRESS)
    assert [issue.path for issue in caught.value.issues] == ["channel"]
    assert caught.value.code == "INVALID_ARGUMENT"
    with SyncCourierClient("http://127.0.0.1:1", token="t1") as sync:
        with pytest.raises(InvalidInputError, match=forms):
            sync.publish(channel, "backtest.progress", PROGRESS)


BAD_DATA: list[Any] = [
    {"text": object()},
    {"number": float("nan")},
    {"text": "\ud800"},
    {"when": datetime(2026, 1, 2)},  # noqa: DTZ001 (the fault under test)
    ["no", "mapping"],
    None,
]


@pytest.mark.parametrize("data", BAD_DATA)
async def test_data_that_is_no_json_is_refused_before_it_is_sent(data: Any) -> None:
    async with CourierClient("http://127.0.0.1:1", token="t1") as client:
        with pytest.raises(InvalidInputError):
            await client.publish_event(EventDraft("backtest.b1", "backtest.progress", data))


async def test_a_time_without_a_zone_is_refused_before_it_is_sent() -> None:
    async with CourierClient("http://127.0.0.1:1", token="t1") as client:
        with pytest.raises(InvalidInputError, match="time zone"):
            await client.publish("backtest.b1", "backtest.progress", PROGRESS, timestamp=datetime(2026, 1, 2))  # noqa: DTZ001


async def test_large_data_is_refused_before_it_is_sent(gateway: Gateway) -> None:
    # The name of the field, quotes, colon and braces are 13 bytes; é is two.
    text = "é" * ((100 * 1024 - 46) // 2)
    fits: events.StrategyGenerationStartedDict = {"parameters": {"x": text}, "strategy_id": "large"}
    async with CourierClient(gateway.url, token=gateway.token("prophet")) as client:
        await client.publish("strategy.large", "strategy.generation.started", fits)
    async with CourierClient("http://127.0.0.1:1", token="t1") as client:
        with pytest.raises(TooLargeError, match="102400 bytes") as caught:
            await client.publish("strategy.large", "strategy.generation.started", {**fits, "name": "more than fits"})
    assert caught.value.code == "PAYLOAD_TOO_LARGE"


async def test_another_contract_is_named_when_an_event_is_refused(scripted_server: ScriptedServer) -> None:
    error = {"code": "BAD_REQUEST", "message": "data.speed: is not a known key"}
    vector = {
        "name": "other-contract",
        "why": "The gateway is newer than the client.",
        "gateway": {"contract": "0123456789abcdef"},
        "publish": {"channel": "backtest.b1", "type": "backtest.progress", "data": PROGRESS},
        "answers": [{"error": error}],
        "result": {"error": error},
    }
    async with scripted_server.play(vector) as run, CourierClient(run.url, token="t1") as client:
        with pytest.raises(InvalidInputError, match="0123456789abcdef") as caught:
            await client.publish("backtest.b1", "backtest.progress", PROGRESS)
    assert "install the courier-client" in caught.value.hint


async def test_a_limit_is_kept_to(gateway: Gateway) -> None:
    # The gateway of the tests lets users publish once a second.
    user = gateway.token("limited", "user", publish=["backtest.limited"])
    draft = events.backtest_progress(backtest_id="limited", progress=0.5)
    async with CourierClient(gateway.url, token=user, retry=FAST) as client:
        await client.publish_event(draft)
        with pytest.raises(RateLimitedError) as caught:
            await client.publish_event(draft, timeout=0.5)
        assert caught.value.retry_after is not None
        began = time.monotonic()
        await client.publish_event(draft)
        # The gateway asked for a delay, rounded up to a second.
        assert time.monotonic() - began > 0.3


async def test_a_gateway_that_is_away_is_reported_in_time() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    async with CourierClient(address, token="t1", retry=FAST, timeout=0.2) as client:
        began = time.monotonic()
        with pytest.raises(UnavailableError, match=address) as caught:
            await client.publish("backtest.b1", "backtest.progress", PROGRESS, idempotency_key="k1")
        assert time.monotonic() - began < 2
    assert isinstance(caught.value, UnreachableError | CourierTimeoutError)
    assert caught.value.idempotency_key == "k1"


async def test_a_gateway_that_does_not_answer_times_out() -> None:
    async with deaf_server() as address, CourierClient(address, token="t1", timeout=0.1) as client:
        with pytest.raises(CourierTimeoutError, match=r"0\.1 s") as caught:
            await client.publish("backtest.b1", "backtest.progress", PROGRESS)
    assert caught.value.retryable
    assert caught.value.idempotency_key is not None


async def test_an_attempt_without_an_answer_is_not_the_last() -> None:
    async with deaf_server() as address:
        async with CourierClient(address, token="t1", retry=FAST, timeout=0.3, attempt_timeout=0.02) as client:
            with pytest.raises(UnavailableError, match="ReadTimeout"):
                await client.publish("backtest.b1", "backtest.progress", PROGRESS)


async def test_a_publish_waits_for_a_gateway_that_comes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "courier_client")
    port = free_port()
    async with CourierClient(f"http://127.0.0.1:{port}", token=token("cartographe", "service"), retry=FAST) as client:
        publishing = asyncio.ensure_future(client.publish("backtest.b1", "backtest.progress", PROGRESS))
        await until(lambda: "trying again" in caplog.text)
        with Gateway(port=port):
            assert (await publishing).channel == "backtest.b1"


NO_GATEWAY = {
    "ok": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "a list": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "no receipt": "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}",
    "elsewhere": "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://example.org/\r\nContent-Length: 0\r\n\r\n",
    "a teapot": "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("answer", NO_GATEWAY.values(), ids=NO_GATEWAY)
async def test_an_address_without_a_gateway_is_reported(answer: str) -> None:
    async with tcp_server(answering(answer)) as address, CourierClient(address, token="t1", timeout=0.3) as client:
        with pytest.raises(UnexpectedAnswerError, match="base_url"):
            await client.publish("backtest.b1", "backtest.progress", PROGRESS)


async def test_a_cancelled_publish_closes_its_connection() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        await reader.readuntil(b"\r\n\r\n")
        connections += 1
        while await reader.read(1024):
            pass
        connections -= 1

    before = asyncio.all_tasks()
    async with tcp_server(serve) as address:
        async with CourierClient(address, token="t1") as client:
            publishing = asyncio.ensure_future(client.publish("backtest.b1", "backtest.progress", PROGRESS))
            await until(lambda: connections == 1)
            publishing.cancel()
            await asyncio.wait([publishing])
            assert publishing.cancelled()
        await until(lambda: connections == 0)
    assert asyncio.all_tasks() == before


async def test_nothing_was_sent_to_a_gateway_that_was_lost(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway()
    async with CourierClient(gateway.url, token=gateway.token(), retry=FAST) as client:
        with SyncCourierClient(gateway.url, token=gateway.token(), retry=FAST) as sync:
            await client.publish("backtest.b1", "backtest.progress", PROGRESS)
            sync.publish("backtest.b1", "backtest.progress", PROGRESS)
            gateway.kill()
            with pytest.raises(UnreachableError, match=re.escape(gateway.url)):
                await client.publish("backtest.b1", "backtest.progress", PROGRESS, timeout=0.2)
            with pytest.raises(UnreachableError, match=re.escape(gateway.url)):
                sync.publish("backtest.b1", "backtest.progress", PROGRESS, timeout=0.2)


async def test_what_was_sent_may_have_been_stored() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        server.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with CourierClient(address, token="t1", retry=FAST) as client:
        # The first attempt is sent and not answered; the others find nobody.
        with pytest.raises(CourierTimeoutError, match=re.escape(address)) as caught:
            await client.publish("backtest.b1", "backtest.progress", PROGRESS, timeout=0.3, idempotency_key="k1")
    assert (caught.value.retryable, caught.value.idempotency_key) == (True, "k1")


async def test_a_batch_is_stored_as_a_whole_or_not_at_all(gateway: Gateway) -> None:
    drafts = [events.backtest_progress(backtest_id="batch", progress=number / 4) for number in range(4)]
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        receipts = await client.publish_batch(drafts)
        wrong = EventDraft("backtest.batch", "backtest.progress", {"backtest_id": "batch", "progress": 2})
        with pytest.raises(InvalidInputError) as caught:
            await client.publish_batch([*drafts, wrong])
        assert [issue.path for issue in caught.value.issues] == ["4.data.progress"]
        assert caught.value.request_id is not None
        large = EventDraft("backtest.batch", "backtest.progress", {"text": "x" * 100_000})
        with pytest.raises(TooLargeError, match=r"^events must be at most 983040 bytes"):
            await client.publish_batch([large] * 10)
        page = await client.history("backtest.batch")
    assert [event.id for event in page.events] == [receipt.id for receipt in receipts]
    with SyncCourierClient(gateway.url, token=gateway.token()) as sync:
        assert len(sync.publish_batch(tuple(drafts))) == 4
