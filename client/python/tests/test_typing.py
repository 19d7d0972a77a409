"""The types that callers see. `mypy --strict` checks this file, and pytest runs it to see that the types are true."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import get_type_hints

import pytest
from typing_extensions import assert_type

from courier_client import (
    AnyEvent,
    BackgroundPublisher,
    CourierClient,
    Event,
    EventDraft,
    GenericEvent,
    HistoryPage,
    Receipt,
    SyncCourierClient,
    events,
    models,
)
from courier_client.models import TradeExecutedData
from courier_client.options import EventOptions
from processes import Gateway


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
        case GenericEvent(type=kind):
            assert_type(kind, str)
        case Event(id=position):
            assert_type(position, str)
    return None


async def test_options_are_checked() -> None:
    async with CourierClient(token="t1") as client, BackgroundPublisher(client) as background:
        with pytest.raises(TypeError, match="user"):
            await client.publish("backtest.b1", "backtest.progress", {}, user="ada")  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="user"):
            background.submit("backtest.b1", "backtest.progress", {}, user="ada")  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="first"):
            await client.history("backtest.b1", first="newest")  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="type"):
            client.subscribe("backtest.b1", on_gap="fail", type="x")  # type: ignore[call-arg]
    with SyncCourierClient(token="t1") as sync, pytest.raises(TypeError, match="user"):
        sync.publish("backtest.b1", "backtest.progress", {}, user="ada")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="user"):
        events.backtest_progress(backtest_id="b1", progress=0.5, user="ada")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="timeout_ms"):
        CourierClient(timeout_ms=1)  # type: ignore[call-arg]
    draft = events.backtest_progress(backtest_id="b1", progress=0.5, user_id=5)  # type: ignore[arg-type]
    assert_type(draft.user_id, str | None)


def test_every_option_of_an_event_is_a_field_of_the_draft() -> None:
    given = {"channel", "type", "data"}
    assert {field.name for field in fields(EventDraft)} - given == set(get_type_hints(EventOptions))
