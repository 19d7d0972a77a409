"""A client of a contract that is not this package's own: that of `shop.json`, whose module is `shop.py`.

The module has what makes names and values of a contract hard to write in Python. `mypy --strict`, pyright and Ruff
check it as they check these tests.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError
from typing_extensions import assert_type

import shop
from conftest import FAST
from courier_client import (
    BackgroundPublisher,
    CourierClient,
    EventDraft,
    GenericEvent,
    HistoryPage,
    InvalidInputError,
    Issue,
    Receipt,
    SyncCourierClient,
    channels,
    events,
)
from courier_client._outgoing import outgoing
from courier_client.contract import Contract, matching, multiple_of
from processes import ScriptedServer

LINE: dict[str, Any] = {"sku": "s1", "count": 2, "price": "1.50", "options": [{"name": "gift", "value": None}]}
METADATA = {"timestamp": "2026-01-02T03:04:05Z", "source": "shop"}


def stored(number: int, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"e1-{number}", "channel": "cart.c1", "type": kind, "metadata": METADATA, "data": data}


PAGE = [
    stored(1, "cart.checked-out", {"cart": "c1", "lines": [LINE], "coupon": None, "added": "later"}),
    stored(2, "cart.burnt", {"cart": "c1"}),
    stored(3, "backtest.progress", {"backtest_id": "b1", "progress": 0.5}),
]
READ: dict[str, Any] = {
    "name": "shop",
    "why": "The gateway has another contract.",
    "history": {"channels": ["cart.c1"]},
    "answers": [{"page": {"events": PAGE, "next": "e1-3", "has_more": False}}],
    "result": {"events": PAGE},
}
CART: dict[str, Any] = {"cart": "c1", "lines": [LINE], "coupon": None}
PUBLISH: dict[str, Any] = {
    "name": "shop-publish",
    "why": "The gateway has another contract.",
    "publish": {"channel": "cart.c1", "type": "cart.checked-out", "data": CART},
    "answers": [{"receipt": "e1-1"}],
    "result": {"receipt": "e1-1"},
}


async def test_events_are_of_the_classes_of_the_module(scripted_server: ScriptedServer) -> None:
    async with scripted_server.play(READ) as run:
        async with CourierClient(run.url, token="t1", contract=shop) as client:
            page = await client.history("cart.c1")
        assert_type(page, HistoryPage[shop.AnyEvent])
        first, second, third = page.events
        if first.type != "cart.checked-out":
            pytest.fail("the event is of another type")
        assert_type(first, shop.CartCheckedOutEvent)
        assert_type(first.data.lines[0].price, Decimal)
        assert isinstance(first, shop.CartCheckedOutEvent)
        assert first.data.lines[0].price * first.data.lines[0].count == Decimal(3)
        assert first.data.model_extra == {"added": "later"}
        for event in (second, third):
            assert isinstance(event, GenericEvent)
        (call,) = (await run.seen())["calls"]
    assert call["contract"] == shop.CONTRACT_HASH


async def test_what_is_published_is_checked_by_the_module(scripted_server: ScriptedServer) -> None:
    async with scripted_server.play(PUBLISH) as run:
        async with CourierClient(run.url, token="t1", contract=shop, retry=FAST) as client:
            for channel in ("backtest.b1", "cart.", "cart.a b", "cart.c1\n", "global.x", ""):
                with pytest.raises(InvalidInputError, match=r"global, cart\.\{id\}, stock\.item\.\{id\}") as caught:
                    await client.publish_event(EventDraft(channel, "cart.checked-out", {}))
                assert [issue.path for issue in caught.value.issues] == ["channel"]
            assert (await run.seen())["calls"] == []
            data = shop.CartCheckedOutData.model_validate(CART)
            assert_type(await client.publish(shop.channels.cart("c1"), "cart.checked-out", data), Receipt)
            (call,) = (await run.seen())["calls"]
    assert call["contract"] == shop.CONTRACT_HASH


async def calls(client: shop.Client, sync: shop.SyncClient, background: shop.Publisher) -> None:
    """Is never called: each `type: ignore` is an error that mypy and pyright must find, and nothing else is one."""
    made = CourierClient(contract=shop)
    client = made
    sync = SyncCourierClient(contract=shop)
    background = BackgroundPublisher(made)
    assert_type(await client.publish("global", "day.Closed", {}), Receipt)
    assert_type(sync.publish("global", "day.Closed", shop.DayClosedData()), Receipt)
    background.submit(shop.channels.cart("c1"), "cart.checked-out", {"cart": "c1", "lines": [], "coupon": None})
    nested: shop.CartCheckedOutLinesItemDict = {"sku": "s", "count": 1, "price": Decimal(1)}
    await client.publish("cart.c1", "cart.checked-out", {"cart": "c1", "coupon": "x", "lines": [nested]})
    await client.publish("cart.c1", "cart.checked-out", {"cart": "c1", "lines": []})  # type: ignore[call-overload]
    await client.publish("backtest.b1", "backtest.progress", {})  # type: ignore[call-overload]
    await client.publish(channels.backtest("b1"), "cart.checked-out", {})  # type: ignore[call-overload]
    await client.publish(shop.channels.stock_item("s"), "day.Closed", {})  # type: ignore[call-overload]
    sync.publish("global", "day.Closed", {"x": 1})  # type: ignore[call-overload]
    background.submit("global", "backtest.progress", {})  # type: ignore[call-overload]
    await client.history("**", types="backtest.progress")  # type: ignore[arg-type]
    ours = CourierClient()
    await ours.publish("global", "day.Closed", {})  # type: ignore[call-overload]
    await client.publish_event(events.backtest_progress(backtest_id="b1", progress=1))


def written(draft: EventDraft[Any]) -> Any:
    return json.loads(outgoing(draft).body)["data"]


def test_values_are_written_as_the_contract_has_them() -> None:
    at = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    draft = shop.cart_checked_out(
        cart="c1",
        lines=[{"sku": "s1", "count": 2, "price": Decimal("1.50"), "options": [{"name": "gift", "value": None}]}],
        coupon=None,
        placed_at=at,
        paid_at="2026-01-01T00:00:00.000Z",
        picked_at="2026-01-01T01:00:00+01:00",
        payment={"kind": "card", "last4": "1234"},
        address={"street": "x", "geo": {"lat": 1, "lon": 2.5}},
    )
    assert isinstance(draft.data.payment, shop.CartCheckedOutPayment)
    assert written(draft) == {
        "cart": "c1",
        "lines": [LINE],
        "coupon": None,
        "placed_at": "2026-01-01T00:00:00.000Z",
        "paid_at": "2026-01-01T00:00:00.000Z",
        "picked_at": "2026-01-01T01:00:00+01:00",
        "payment": {"kind": "card", "last4": "1234"},
        "address": {"street": "x", "geo": {"lat": 1, "lon": 2.5}},
    }


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456Z"])
def test_an_instant_of_another_precision_than_the_contract_has_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        shop.cart_checked_out(**CART, paid_at=text)
    assert [issue.path for issue in caught.value.issues] == ["data.paid_at"]
    assert caught.value.issues[0].message.startswith("must match ^(?:")


def test_an_instant_is_written_with_all_its_digits() -> None:
    assert written(shop.cart_checked_out(**CART, placed_at="2026-01-01T00:00:00.123456Z"))["placed_at"] == (
        "2026-01-01T00:00:00.123456Z"
    )
    for text, message in (
        ("2026-01-01T00:00:00.1234567Z", "must have at most 6 digits after the seconds, as many as a datetime holds"),
        ("9999-12-31T23:59:59-01:00", "must be within the years 1 to 9999"),
    ):
        with pytest.raises(InvalidInputError) as caught:
            shop.cart_checked_out(**CART, placed_at=text)
        assert caught.value.issues == (Issue("data.placed_at", message),)


async def test_an_instant_with_more_digits_than_python_holds_is_read(scripted_server: ScriptedServer) -> None:
    nanoseconds = stored(1, "cart.checked-out", {**CART, "placed_at": "2026-01-01T00:00:00.123456789Z"})
    page = {"page": {"events": [nanoseconds], "next": "e1-1", "has_more": False}}
    async with scripted_server.play({**READ, "answers": [page], "result": {"events": [nanoseconds]}}) as run:
        async with CourierClient(run.url, token="t1", contract=shop) as client:
            (event,) = (await client.history("cart.c1")).events
    assert isinstance(event, shop.CartCheckedOutEvent)
    assert event.data.placed_at == datetime(2026, 1, 1, microsecond=123_456, tzinfo=timezone.utc)


def test_names_that_python_does_not_take_are_those_of_the_contract_on_the_wire() -> None:
    fields: dict[str, Any] = {
        "from_": 1,
        "class_": "it's",
        "id": "i",
        "type": "t",
        "channel_": "c",
        "model_config_": "m",
        "field_model_dump_it": "d",
        "user_id_": "u",
        "str_": "s",
        "list_": [1],
        "float_": 1.5,
        "field_hidden": "h",
        "field_1st": "1",
        "a_b_": "-",
        "a_b": "_",
        "json_": {"a": None},
        "data_": "x",
    }
    assert written(shop.stock_item_counted(**fields, sku="s1", user_id="ada")) == {
        "from": 1,
        "class": "it's",
        "id": "i",
        "type": "t",
        "channel": "c",
        "model_config": "m",
        "model_dump_it": "d",
        "user_id": "u",
        "str": "s",
        "list": [1],
        "float": 1.5,
        "_hidden": "h",
        "1st": "1",
        "a-b": "-",
        "a_b": "_",
        "json": {"a": None},
        "data": "x",
    }


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"one": 2}, "one"),
        ({"mixed": 3}, "mixed"),
        ({"half": 0.75}, "half"),
        ({"deep": {"a": [True, None], "b": "x"}}, "deep"),
        ({"no": True}, "no"),
        ({"by_name": {"abcd": []}}, "by_name"),
        ({"by_name": {"a": [6]}}, "by_name"),
        ({"nested_lists": [[1, "x", 2]]}, "nested_lists"),
        ({"objects_by_name": {"a": {}}}, "objects_by_name"),
    ],
)
def test_values_that_the_contract_does_not_have_are_refused(fields: dict[str, Any], field: str) -> None:
    right: dict[str, Any] = {
        "one": 1,
        "mixed": None,
        "half": 0.5,
        "deep": {"b": "x", "a": [1, None]},
        "no": False,
        "by_name": {"abc": [5, None]},
        "nested_lists": [[1, "x"]],
        "objects_by_name": {"abcd": {"n": 1}},
    }
    shop.StockItemLiteralsData.model_validate(right)
    with pytest.raises(ValidationError) as caught:
        shop.StockItemLiteralsData.model_validate({**right, **fields})
    assert {found["loc"][0] for found in caught.value.errors()} == {field}


@pytest.mark.parametrize(("text", "fits"), [("a a", True), ("a\u2003a", True), ("a b", False), ("a a\n", False)])
def test_patterns_mean_what_they_mean_to_the_gateway(text: str, *, fits: bool) -> None:
    fields = {"id": "i", "from": 1, "match": text}
    if fits:
        shop.StockItemCountedData.model_validate(fields)
        return
    with pytest.raises(ValidationError, match="match"):
        shop.StockItemCountedData.model_validate(fields)


@pytest.mark.parametrize(
    ("step", "value", "fits"),
    [
        (0.1, 0.3, True),
        (0.1, 1e-17, True),
        (0.1, 0.35, False),
        (0.1, 1e308, False),
        (10, 9_007_199_254_740_991, True),
        (10, 25, False),
    ],
)
def test_multiples_have_the_tolerance_of_the_gateway(step: float, value: float, *, fits: bool) -> None:
    number = TypeAdapter(Annotated[float, multiple_of(step)])
    if fits:
        assert number.validate_python(value) == value
        return
    with pytest.raises(ValidationError, match=f"must be a multiple of {step}"):
        number.validate_python(value)


def test_a_pattern_sees_characters_as_the_gateway_may() -> None:
    text = TypeAdapter(Annotated[str, matching(r"^[^x]{2}\Z", "^[^x]{2}$")])
    for fits in ("\U0001f600", "\U0001f600\U0001f600", "\u00e9a"):
        assert text.validate_python(fits) == fits
    for too_long in ("abc", "\U0001f600aa\U0001f600"):
        with pytest.raises(ValidationError):
            text.validate_python(too_long)


def test_a_wrong_type_is_named_with_those_of_the_contract() -> None:
    (issue,) = shop.CONTRACT.issues_of_types(["cart.checked-out", "cart.burnt"])
    assert issue.path == "types.1"
    assert issue.message.startswith("type 'cart.burnt' is no type of this contract: it must be one of cart.checked-out")
    many = Contract[Any, Any, Any, Any, Any]("many", "h", dict.fromkeys(map(str, range(23)), shop.DayClosedEvent), ())
    assert many.issues_of_types(["x"])[0].message.endswith(", 18, 19 or 3 more")


def test_channels_know_the_forms_of_their_names() -> None:
    assert [str(shop.channels.stock_item("s1")), str(shop.channels.global_())] == ["stock.item.s1", "global"]
    assert shop.channels.cart("c1") == shop.channels.cart("c1") != shop.channels.cart("c2")
    with pytest.raises(InvalidInputError, match=r"must be cart\.\{id\}"):
        shop.channels.cart("a.b")


def test_a_builder_makes_the_channels_that_the_family_has() -> None:
    right: dict[str, Any] = {"id": "i", "from_": 1}
    assert shop.stock_item_counted(**right, sku="s1").channel == "stock.item.s1"
    for sku in ("", "a.b", "s1\n", "*", "x" * 65):
        with pytest.raises(InvalidInputError, match=r"must be stock\.item\.\{id\}") as caught:
            shop.stock_item_counted(**right, sku=sku)
        assert [issue.path for issue in caught.value.issues] == ["channel"]
        with pytest.raises(InvalidInputError) as made:
            shop.channels.stock_item(sku)
        assert str(made.value) == str(caught.value)


def test_nothing_is_no_id() -> None:
    with pytest.raises(InvalidInputError, match=r"^there is no id for cart\.\{id\}"):
        shop.channels.cart(None)  # type: ignore[arg-type]


def test_the_descriptions_are_in_the_module() -> None:
    assert shop.CartCheckedOutEvent.__doc__ == 'A customer has "paid" for a cart.'
    said = shop.StockItemCountedData.model_fields["from_"].description or ""
    assert (
        " ".join(said.split()) == 'A "quoted" text, a back\\slash, """three""" and a new line \u2013 with a dash\u202e.'
    )
