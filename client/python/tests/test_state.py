"""The state of a real gateway: what is, what changes, and what is left after it was away."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from conftest import FAST
from courier_client import (
    CourierClient,
    ForbiddenError,
    GenericItem,
    InvalidInputError,
    LiveState,
    RemovedItem,
    StateItem,
    SubscriptionState,
    entity_key,
    events,
)
from processes import Gateway, token
from servers import free_port
from waiting import until
from watching import filled, holds, keys_of, placed, trading

KILLS = 3
EVENTS_BETWEEN_KILLS = 60
SYMBOLS = [f"S{number}" for number in range(12)]


async def test_what_is_and_what_changes(gateway: Gateway) -> None:
    async with trading(gateway) as client:
        for key in ("o1", "o2"):
            await client.publish_event(placed("changes", key))
        async with client.state("strategy.changes", "order") as orders:
            assert (orders.is_ready, orders.position) == (False, None)
            first = [await anext(orders), await anext(orders)]
            await orders.ready()
            assert orders.state is SubscriptionState.LIVE
            assert keys_of(first) == keys_of(orders) == ["o1", "o2"]
            receipt = await client.publish_event(filled("changes", "o1", "1.25", "1.25"))
            change = await anext(orders)
            assert change.id == receipt.id
            assert orders.position == receipt.id
            assert change == orders.get("o1") == orders.items["strategy.changes", "o1"]
            await client.publish_event(placed("changes", "o3"))
            assert (await anext(orders)).key == "o3"
            assert len(orders) == 3
    assert isinstance(change, events.OrderItem)
    assert (change.state.remaining_quantity, change.state.last_price) == (Decimal("1.25"), Decimal("10.25"))
    assert change.state.changed_at == receipt.timestamp
    assert change.open
    # What is held stays.
    assert orders.get("o4") is None
    assert len([*orders]) == 3


async def test_only_what_is_open_and_has_a_value(gateway: Gateway) -> None:
    async with trading(gateway) as client:
        await client.publish_event(placed("filters", "done"))
        await client.publish_event(filled("filters", "done", "2.5", "0"))
        await client.publish_event(placed("filters", "other", symbol="NDX"))
        await client.publish_event(placed("filters", "mine"))
        options: Any = {"open": True, "where": {"state.symbol": ["SPX", "DAX"], "state.side": "buy"}}
        async with client.state("strategy.filters", "order", **options) as orders:
            await orders.ready()
            assert keys_of(orders) == ["mine"]
            # Nothing is told of what was never among them.
            await client.publish_event(filled("filters", "other", "2.5", "0"))
            receipt = await client.publish_event(filled("filters", "mine", "2.5", "0"))
            change = await anext(orders)
            assert change == RemovedItem(id=receipt.id, channel="strategy.filters", entity="order", key="mine")
            assert [*orders] == []
        async with client.state("strategy.filters", "order", keys=["done", "mine"]) as orders:
            await orders.ready()
            assert sorted(keys_of(orders)) == ["done", "mine"]
        closed = await client.read_state("strategy.filters", "order", open=False, where={"state.symbol": "SPX"})
        assert sorted(item.key for item in closed) == ["done", "mine", "other"]


async def test_keys_of_several_fields_and_channels(gateway: Gateway) -> None:
    assert entity_key("s1", "BRK/B 5%\n") == "s1/BRK%2FB 5%25%0A"
    with pytest.raises(InvalidInputError):
        entity_key()
    async with trading(gateway) as client:
        await client.publish_event(holds("keys", "BRK/B", 3))
        for channel in ("strategy.keys", "user.keys"):
            await client.publish_event(replace(placed("keys", "o1"), channel=channel))
        async with client.state("strategy.keys", "position", keys=entity_key("keys", "BRK/B")) as positions:
            await positions.ready()
            held = positions.get("keys/BRK%2FB")
            assert isinstance(held, events.PositionItem)
            assert held.state.quantity == 3
        async with client.state(["strategy.keys", "user.keys"], "order") as orders:
            await orders.ready()
            with pytest.raises(InvalidInputError, match=r"strategy\.keys, user\.keys") as caught:
                orders.get("o1")
            assert [issue.path for issue in caught.value.issues] == ["channel"]
            one = orders.get("o1", "user.keys")
            assert one is not None
            assert one.channel == "user.keys"


async def test_all_pages_are_read(gateway: Gateway) -> None:
    async with trading(gateway) as client:
        for number in range(7):
            await client.publish_event(placed("pages", f"o{number}"))
        snapshot = await client.read_state("strategy.pages", "order", page_size=2)
        assert sorted(item.key for item in snapshot) == [f"o{number}" for number in range(7)]
        assert len(snapshot) == 7
        # What comes behind it is all that is later.
        receipt = await client.publish_event(placed("pages", "o7"))
        async with client.subscribe("strategy.pages", last_event_id=snapshot.position) as subscription:
            assert (await anext(subscription)).id == receipt.id


async def test_the_latest_of_what_changes_often(gateway: Gateway) -> None:
    async with trading(gateway) as client:
        async with client.state("strategy.often", "position", max_per_second=5) as positions:
            await positions.ready()
            for quantity in range(1, 31):
                await client.publish_event(holds("often", "SPX", quantity))
            told: list[Decimal] = []
            while not told or told[-1] != 30:
                change = await anext(positions)
                assert isinstance(change, events.PositionItem)
                told.append(change.state.quantity)
        assert told == sorted(told)


async def test_after_the_gateway_was_killed_it_equals_a_fold(start_gateway: Callable[..., Gateway]) -> None:
    port = free_port()
    gateway = start_gateway(port=port)
    chance = random.Random(5)
    published: list[tuple[str, str, int]] = []
    folded: dict[tuple[str, str], StateItem[Any]] = {}
    stopped = False

    async def publish(client: CourierClient, strategy: str) -> None:
        while not stopped:
            symbol, quantity = chance.choice(SYMBOLS), chance.choice([0, 0, 1, 2, 3])
            await client.publish_event(holds(strategy, symbol, quantity))
            published.append((f"strategy.{strategy}", f"{strategy}/{symbol}", quantity))

    async def watch(client: CourierClient) -> None:
        async with client.state("strategy.*", "position", open=True) as positions:
            watched.set_result(positions)
            async for change in positions:
                name = (change.channel, change.key)
                if isinstance(change, RemovedItem):
                    del folded[name]
                else:
                    assert change != folded.get(name)
                    folded[name] = change
                assert positions.items == folded

    def are_more_than(number: int) -> bool:
        return len(published) > number and len(folded) > 0

    watched: asyncio.Future[LiveState[events.PositionItem]] = asyncio.get_running_loop().create_future()
    url = f"http://127.0.0.1:{port}"
    async with CourierClient(url, token=token("chevalier", "service"), retry=FAST) as client:
        watching = asyncio.ensure_future(watch(client))
        positions = await watched
        publishing = [asyncio.ensure_future(publish(client, strategy)) for strategy in ("s1", "s2")]
        for kill in range(1, KILLS + 1):
            await until(partial(are_more_than, kill * EVENTS_BETWEEN_KILLS))
            gateway.kill()
            gateway = start_gateway(port=port)
        stopped = True
        await asyncio.gather(*publishing)
        expected = {(channel, key): quantity for channel, key, quantity in published}
        last = await client.publish_event(holds("s1", "LAST", 1))
        await until(lambda: ("strategy.s1", "s1/LAST") in folded)
        expected["strategy.s1", "s1/LAST"] = 1
        assert positions.position == last.id
        held = {name: int(item.state.quantity) for name, item in positions.items.items()}
        assert held == {name: quantity for name, quantity in expected.items() if quantity != 0}
        snapshot = await client.read_state("strategy.*", "position", open=True, page_size=3)
        assert {(item.channel, item.key): item for item in snapshot} == positions.items
    await watching


async def test_a_replaced_log_replaces_what_is_held() -> None:
    port = free_port()
    with Gateway(port=port) as gateway:
        async with trading(gateway) as client:
            for key in ("o1", "o2"):
                await client.publish_event(placed("s1", key))
            async with client.state("strategy.s1", "order") as orders:
                await orders.ready()
                gateway.kill()
                with Gateway(port=port):
                    receipt = await client.publish_event(placed("s1", "o2", symbol="NDX"))
                    change = await anext(orders)
                    # What was held stays until all has come.
                    assert (change.key, change.id, keys_of(orders)) == ("o2", receipt.id, ["o1", "o2"])
                    assert not orders.is_ready
                    gone = await anext(orders)
                    assert isinstance(gone, RemovedItem)
                    assert (gone.key, gone.id, keys_of(orders)) == ("o1", receipt.id, ["o2"])
                    assert orders.is_ready


async def test_what_is_refused(gateway: Gateway) -> None:
    async with trading(gateway) as client:
        read: Any = client.read_state
        watch: Any = client.state
        many = {f"state.f{index}": "x" for index in range(11)}
        cases: list[tuple[str, str, dict[str, Any]]] = [
            ("entity", "orders", {}),
            ("keys.1", "order", {"keys": ["o1", "k" * 513]}),
            ("where.state.colour", "order", {"where": {"state.colour": "red"}}),
            ("where.state.status", "order", {"where": {"state.status": ["open", "nope"]}}),
            ("where.state.symbol", "order", {"where": {"state.symbol": ["SPX"] * 101}}),
            ("where", "order", {"where": many}),
            ("where.state.progress", "job", {"where": {"state.progress": math.nan}}),
            ("where.state.progress", "job", {"where": {"state.progress": "half"}}),
        ]
        for path, entity, options in cases:
            with pytest.raises(InvalidInputError) as caught:
                await watch("strategy.s1", entity, **options).__aenter__()
            assert [issue.path for issue in caught.value.issues] == [path]
            with pytest.raises(InvalidInputError) as caught:
                await read("strategy.s1", entity, **options)
            assert [issue.path for issue in caught.value.issues] == [path]
        with pytest.raises(InvalidInputError) as caught:
            await watch("strategy.s1", "order", max_per_second=1000).__aenter__()
        assert [issue.path for issue in caught.value.issues] == ["max_per_second"]
        with pytest.raises(InvalidInputError, match="there is no entity"):
            await read("strategy.s1", "orders")
        with pytest.raises(InvalidInputError) as caught:
            await read("strategy.s1", "order", page_size=1001)
        assert [issue.path for issue in caught.value.issues] == ["page_size"]
    async with CourierClient(gateway.url, token=gateway.token("ada", "user")) as client:
        with pytest.raises(ForbiddenError, match=r"strategy\.s1"):
            await client.state("strategy.s1", "order").__aenter__()
        with pytest.raises(ForbiddenError, match=r"strategy\.s1"):
            await client.read_state("strategy.s1", "order")


@pytest.mark.parametrize(
    ("path", "arguments", "options"),
    [
        ("channels", ("", "order"), {}),
        ("channels", ([], "order"), {}),
        ("entity", ("strategy.s1", ""), {}),
        ("entity", ("strategy.s1", "order,job"), {}),
        ("entity", ("strategy.s1", 5), {}),
        ("keys", ("strategy.s1", "order"), {"keys": "a,b"}),
        ("keys", ("strategy.s1", "order"), {"keys": []}),
        ("keys", ("strategy.s1", "order"), {"keys": [1]}),
        ("open", ("strategy.s1", "order"), {"open": "yes"}),
        ("where", ("strategy.s1", "order"), {"where": {"symbol": "SPX"}}),
        ("where", ("strategy.s1", "order"), {"where": "state.symbol"}),
        ("where.state.symbol", ("strategy.s1", "order"), {"where": {"state.symbol": "A,B"}}),
        ("where.state.symbol", ("strategy.s1", "order"), {"where": {"state.symbol": ["\ud800"]}}),
        ("where.state.symbol", ("strategy.s1", "order"), {"where": {"state.symbol": None}}),
    ],
)
async def test_what_no_gateway_would_take(path: str, arguments: tuple[Any, Any], options: dict[str, Any]) -> None:
    async with CourierClient("http://127.0.0.1:1", token="t1") as client:
        watch: Any = client.state
        read: Any = client.read_state
        with pytest.raises(InvalidInputError) as caught:
            watch(*arguments, **options)
        assert [issue.path for issue in caught.value.issues] == [path]
        with pytest.raises(InvalidInputError) as caught:
            await read(*arguments, **options)
        assert [issue.path for issue in caught.value.issues] == [path]


def test_a_form_that_the_contract_does_not_know() -> None:
    document = {"id": "e1-1", "channel": "strategy.s1", "entity": "order", "key": "o1", "open": True}
    item = GenericItem.model_validate({**document, "state": {"status": "lost"}})
    assert item.entity_name == "order"
    assert item.state["status"] == "lost"
    with pytest.raises(AttributeError, match="GenericItem"):
        _ = item.state.status
