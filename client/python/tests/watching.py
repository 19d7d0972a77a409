"""Helpers for the tests of the state."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import websockets

from conftest import FAST
from courier_client import CourierClient, GenericItem, LiveState, RemovedItem, events
from processes import Gateway
from servers import websocket_server


@asynccontextmanager
async def trading(gateway: Gateway, **options: Any) -> AsyncIterator[CourierClient]:
    async with CourierClient(gateway.url, "chevalier", gateway.token("chevalier"), retry=FAST, **options) as client:
        yield client


def placed(strategy_id: str, order_id: str, **fields: Any) -> Any:
    given: dict[str, Any] = {"symbol": "SPX", "side": "buy", "order_type": "market", "quantity": "2.50", **fields}
    return events.order_placed(order_id=order_id, strategy_id=strategy_id, **given)


def filled(strategy_id: str, order_id: str, quantity: str, remaining: str) -> Any:
    return events.order_filled(
        order_id=order_id,
        strategy_id=strategy_id,
        symbol="SPX",
        side="buy",
        quantity=quantity,
        price="10.25",
        remaining_quantity=remaining,
    )


def holds(strategy_id: str, symbol: str, quantity: int) -> Any:
    return events.position_updated(
        strategy_id=strategy_id, symbol=symbol, quantity=Decimal(quantity), average_price=Decimal(1)
    )


Order = events.OrderItem | GenericItem


def keys_of(items: Sequence[Order | RemovedItem] | LiveState[events.OrderItem]) -> list[str]:
    return [item.key for item in items]


def order(number: int, key: str, **fields: Any) -> dict[str, Any]:
    """An item as a gateway sends it."""
    state = {"order_id": key, "status": "open", "filled_quantity": "0", "changed_at": "2026-01-02T03:04:05Z", **fields}
    return {"id": f"e1-{number}", "channel": "strategy.s1", "entity": "order", "key": key, "open": True, "state": state}


def removed(number: int, key: str) -> dict[str, Any]:
    return {**order(number, key), "open": False, "state": None}


def notice(kind: str, number: int, **data: Any) -> dict[str, Any]:
    metadata = {"timestamp": "2026-01-02T03:04:05Z", "source": "courier"}
    return {"id": f"e1-{number}", "channel": "courier", "type": kind, "metadata": metadata, "data": data}


def ready(number: int) -> dict[str, Any]:
    return notice("state.ready", number, position=f"e1-{number}", items=0)


def reset(number: int) -> dict[str, Any]:
    return notice("state.reset", 0, reason="rebuilt", requested=f"e1-{number}")


@asynccontextmanager
async def scripted(*connections: Sequence[dict[str, Any]]) -> AsyncIterator[tuple[CourierClient, list[str | None]]]:
    """A server that sends these messages on each connection and drops it; it stays on the last one.

    Gives a client of it, and the positions that the connections asked for.
    """
    asked: list[str | None] = []

    async def serve(socket: websockets.ServerConnection) -> None:
        assert socket.request is not None
        asked.append(parse_qs(urlsplit(socket.request.path).query).get("last_event_id", [None])[0])
        for message in connections[len(asked) - 1]:
            await socket.send(json.dumps(message))
        if len(asked) < len(connections):
            await socket.close(1001)
        else:
            await socket.wait_closed()

    async with websocket_server(serve) as address, CourierClient(address, token="t1", retry=FAST) as client:
        yield client, asked
