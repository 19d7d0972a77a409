"""The types that callers see. `mypy --strict` checks this file, and pytest runs it to see that the types are true."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any, get_type_hints

import pytest
from typing_extensions import assert_type

from courier_client import (
    AnyEvent,
    BackgroundPublisher,
    CourierClient,
    Event,
    EventDraft,
    GenericEvent,
    GenericItem,
    HistoryPage,
    LiveState,
    Receipt,
    RemovedItem,
    StateSnapshot,
    SyncCourierClient,
    SyncLiveState,
    channels,
    events,
    models,
)
from courier_client._incoming import event_of
from courier_client.models import TradeExecutedData
from courier_client.options import EventOptions
from processes import Gateway

PROGRESS: events.BacktestProgressDict = {"backtest_id": "b1", "progress": 0.5}


async def test_events_are_known_by_their_class(gateway: Gateway) -> None:
    draft = events.trade_executed(
        trade_id="t1", order_id="o1", symbol="SPX", side="buy", quantity="1.5", price=1455, strategy_id="typed"
    )
    assert_type(draft, EventDraft[TradeExecutedData])
    assert_type(draft.data.price, Decimal)
    async with CourierClient(gateway.url, token=gateway.token("chevalier")) as client:
        assert_type(await client.publish_event(draft), Receipt)
        page = await client.history("strategy.typed")
        assert_type(page, HistoryPage[AnyEvent])
        async with client.subscribe("strategy.typed", from_="earliest", on_gap="fail") as subscription:
            event = await anext(subscription)
            assert_type(event, AnyEvent)
    assert value_of(event) == Decimal("2182.5")


def value_of(event: AnyEvent) -> Decimal | None:
    match event:
        case events.TradeExecutedEvent(data=trade):
            assert_type(trade, models.TradeExecutedData)
            return trade.quantity * trade.price
        case GenericEvent(type_name=kind):
            assert_type(kind, str)
        case Event(id=position):
            assert_type(position, str)
    return None


async def test_options_are_checked() -> None:
    async with CourierClient(token="t1") as client, BackgroundPublisher(client) as background:
        with pytest.raises(TypeError, match=r"^CourierClient\.publish\(\) got an unexpected keyword argument 'user'$"):
            await client.publish("backtest.b1", "backtest.progress", PROGRESS, user="ada")  # type: ignore[call-overload]
        with pytest.raises(TypeError, match=r"^BackgroundPublisher\.submit\(\) got .* 'user'$"):
            background.submit("backtest.b1", "backtest.progress", PROGRESS, user="ada")  # type: ignore[call-overload]
        with pytest.raises(TypeError, match=r"^CourierClient\.history\(\) got .* 'first'$"):
            await client.history("backtest.b1", first="newest")  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"^CourierClient\.iterate_history\(\) got .* 'limit'$"):
            client.iterate_history("backtest.b1", limit=1)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"^CourierClient\.publish\(\) missing 2 required .* and 'data'$"):
            await client.publish("backtest.b1")  # type: ignore[call-overload]
        with pytest.raises(TypeError, match=r"^CourierClient\.state\(\) got .* 'page_size'$"):
            client.state("strategy.s1", "order", page_size=1)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match=r"^CourierClient\.read_state\(\) got .* 'max_per_second'$"):
            await client.read_state("strategy.s1", "order", max_per_second=1)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match=r"^CourierClient\.state\(\) missing 1 required .* 'entity'$"):
            client.state("strategy.s1")  # type: ignore[call-overload]
        with pytest.raises(TypeError, match=r"CourierClient\.subscribe\(\) got .* 'type'"):
            client.subscribe("backtest.b1", on_gap="fail", type="x")  # type: ignore[call-arg]
    with SyncCourierClient(token="t1") as sync:
        with pytest.raises(TypeError, match=r"^SyncCourierClient\.publish\(\) got .* 'user'$"):
            sync.publish("backtest.b1", "backtest.progress", PROGRESS, user="ada")  # type: ignore[call-overload]
        with pytest.raises(TypeError, match=r"^SyncCourierClient\.history\(\) got .* 'first'$"):
            sync.history("backtest.b1", first="newest")  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"^SyncCourierClient\.iterate_history\(\) got .* 'limit'$"):
            sync.iterate_history("backtest.b1", limit=1)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"^SyncCourierClient\.state\(\) missing 1 required .* 'entity'$"):
            sync.state("strategy.s1")  # type: ignore[call-overload]
        with pytest.raises(TypeError, match=r"^SyncCourierClient\.read_state\(\) got .* 'limit'$"):
            sync.read_state("strategy.s1", "order", limit=1)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"^backtest_progress\(\) got .* 'user'$"):
        events.backtest_progress(backtest_id="b1", progress=0.5, user="ada")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^CourierClient\(\) got .* 'timeout_ms'$"):
        CourierClient(timeout_ms=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^SyncCourierClient\(\) got .* 'timeout_ms'$"):
        SyncCourierClient(timeout_ms=1)  # type: ignore[call-arg]
    draft = events.backtest_progress(backtest_id="b1", progress=0.5, user_id=5)  # type: ignore[arg-type]
    assert_type(draft.user_id, str | None)


def test_every_option_of_an_event_is_a_field_of_the_draft() -> None:
    given = {"channel", "type", "data"}
    assert {field.name for field in fields(EventDraft)} - given == set(get_type_hints(EventOptions))


def test_a_comparison_of_the_type_narrows() -> None:
    draft = events.backtest_progress(backtest_id="b1", progress=0.5)
    event = received("backtest.progress", draft.data.model_dump(mode="json", exclude_none=True))
    assert told(event) == told_by_match(event) == "0.5"
    assert told(received("backtest.retired", {"progress": 2})) == "backtest.retired"
    assert told_by_match(received("backtest.retired", {"progress": 2})) == "other"


def told(event: AnyEvent) -> str:
    if event.type == "backtest.progress":
        assert_type(event, events.BacktestProgressEvent)
        assert_type(event.data.progress, float)
        return str(event.data.progress)
    if event.type in ("backtest.started", "backtest.failed"):
        assert_type(event.channel, str)
    if isinstance(event, GenericEvent):
        assert_type(event.data, dict[str, Any])
        return event.type_name
    return "other"


def told_by_match(event: AnyEvent) -> str:
    match event.type:
        case "backtest.progress":
            assert_type(event.data, models.BacktestProgressData)
            return str(event.data.progress)
        case "order.placed":
            assert_type(event.data.quantity, Decimal)
    return "other"


def received(kind: str, data: dict[str, Any]) -> AnyEvent:
    metadata = {"timestamp": "2026-01-02T03:04:05Z", "source": "tests"}
    document = {"id": "e1-1", "channel": "backtest.b1", "type": kind, "metadata": metadata, "data": data}
    return event_of(document, events.CONTRACT)


def test_data_of_another_form_says_so() -> None:
    event = received("backtest.progress", {"backtest_id": "b1", "progress": "half"})
    assert isinstance(event, GenericEvent)
    assert event.data == {"backtest_id": "b1", "progress": "half"}
    with pytest.raises(AttributeError, match="GenericEvent"):
        told(event)


async def states(client: CourierClient, sync: SyncCourierClient, name: str) -> None:
    """As `calls`."""
    async with client.state("strategy.*", "order", open=True, where={"state.symbol": ["SPX", "NDX"]}) as orders:
        assert_type(orders, LiveState[events.OrderItem])
        async for change in orders:
            assert_type(change, events.OrderItem | GenericItem | RemovedItem)
            if change.state is not None:
                change.state.status.upper()
            if isinstance(change, RemovedItem):
                continue
            if change.entity == "order":
                assert_type(change, events.OrderItem)
                assert_type(change.state.filled_quantity, Decimal)
                assert_type(change.state.changed_at, datetime)
        order = orders.get("o1")
        assert_type(order, events.OrderItem | GenericItem | None)
        if isinstance(order, events.OrderItem):
            assert_type(order.state, models.OrderState)
        for item in orders:
            item.state.status.upper()
    with sync.state(channels.strategy("s1"), "position", keys=["s1/SPX"], max_per_second=2) as positions:
        assert_type(positions, SyncLiveState[events.PositionItem])
        for moved in positions.changes():
            assert_type(moved, events.PositionItem | GenericItem | RemovedItem)
    assert_type(await client.read_state("**", "job", page_size=5), StateSnapshot[events.JobItem])
    assert_type(sync.read_state(["**"], "strategy", timeout=None), StateSnapshot[events.StrategyItem])
    # An entity that there is not, or that is known at run time only; options that there are not, or of another type.
    client.state("strategy.*", "orders")  # type: ignore[call-overload]
    client.state("strategy.*", name)  # type: ignore[call-overload]
    client.state("strategy.*", "order", page_size=5)  # type: ignore[call-overload]
    client.state("strategy.*", "order", open="yes")  # type: ignore[call-overload]
    await client.read_state("strategy.*", "order", where={"state.symbol": None})  # type: ignore[call-overload]
    sync.state("strategy.*", "orders")  # type: ignore[call-overload]
    sync.read_state("strategy.*", "order", max_per_second=1)  # type: ignore[call-overload]


async def calls(client: CourierClient, sync: SyncCourierClient, background: BackgroundPublisher) -> None:
    """Is never called: each `type: ignore` is an error that mypy and pyright must find, and nothing else is one."""
    completed = models.BacktestCompletedMetrics(total_return=1, max_drawdown=0, trades=1)
    data = models.BacktestProgressData(backtest_id="b1", progress=0.5)
    job = channels.forge_job("j1")
    receipt = await client.publish(
        channel="user.123", event_type="strategy.generation.started", data={"strategy_id": "strat_abc"}
    )
    assert_type(receipt, Receipt)
    assert_type(sync.publish("backtest.b1", "backtest.progress", data), Receipt)
    await client.publish(
        channels.backtest("b1"), "backtest.progress", data, correlation_id="c1", causation_id="e-1", timeout=1
    )
    await client.publish(channels.global_(), "backtest.progress", {"backtest_id": "b1", "progress": 1})
    await client.publish("backtest.b1", "backtest.completed", {"backtest_id": "b1", "metrics": completed})
    await client.publish(
        "backtest.b1",
        "backtest.completed",
        {"backtest_id": "b1", "metrics": {"total_return": 1, "max_drawdown": 0, "trades": 1}},
    )
    await client.publish("backtest.b1", "backtest.started", {"backtest_id": "b1", "from": "2020-01-02"})
    background.submit("backtest.b1", "backtest.progress", data)
    # A type that there is not; fields that are missing, unknown or wrong; the model of another type.
    await client.publish("backtest.b1", "backtest.retired", PROGRESS)  # type: ignore[call-overload]
    await client.publish("backtest.b1", "backtest.progress", {"backtest_id": "b1"})  # type: ignore[call-overload]
    await client.publish("backtest.b1", "backtest.progress", {"backtest_id": "b1", "progress": 1, "x": 1})  # type: ignore[call-overload]
    await client.publish("backtest.b1", "backtest.progress", {"backtest_id": "b1", "progress": "1"})  # type: ignore[call-overload]
    await client.publish("backtest.b1", "backtest.failed", data)  # type: ignore[call-overload]
    sync.publish("backtest.b1", "backtest.retired", PROGRESS)  # type: ignore[call-overload]
    sync.publish("backtest.b1", "backtest.progress", {"backtest_id": "b1"})  # type: ignore[call-overload]
    background.submit("backtest.b1", "backtest.retired", PROGRESS)  # type: ignore[call-overload]
    background.submit("backtest.b1", "backtest.progress", {"backtest_id": "b1"})  # type: ignore[call-overload]
    # A channel that does not carry the type.
    await client.publish(job, "backtest.progress", data)  # type: ignore[call-overload]
    sync.publish(job, "backtest.progress", data)  # type: ignore[call-overload]
    background.submit(job, "backtest.progress", data)  # type: ignore[call-overload]
    events.backtest_progress(backtest_id="b1", progress=1, channel=channels.user("ada"))
    events.backtest_progress(backtest_id="b1", progress=1, channel=job)  # type: ignore[arg-type]


async def selections(client: CourierClient, sync: SyncCourierClient) -> None:
    """As `calls`."""
    await client.history("**", types=["backtest.progress", "order.placed"])
    await client.history(channels.backtest("b1"), types="backtest.progress")
    await client.history("**", types="backtest.retired")  # type: ignore[arg-type]
    sync.history("**", types=["backtest.retired"])  # type: ignore[list-item]
    client.iterate_history("**", types="backtest.retired")  # type: ignore[arg-type]
    client.subscribe("**", types=["backtest.retired"], on_gap="fail")  # type: ignore[list-item]
