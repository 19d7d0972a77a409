"""What a type checker knows: `mypy --strict` looks at this file, and it is run to see that it is true."""

from __future__ import annotations

from decimal import Decimal

from typing_extensions import assert_type

from courier_client import (
    AnyEvent,
    CourierClient,
    Event,
    EventDraft,
    GenericEvent,
    HistoryPage,
    Receipt,
    events,
    models,
)
from courier_client.models import TradeExecutedData
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
