"""The package matches the contract: the models, the builders, the hash, the codes."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from courier_client import CourierClient, EventDraft, InvalidInputError, Issue, events, models
from courier_client.codes import CLOSE_CODES, SERVER_CODES
from courier_client.events import EVENTS
from processes import NODE, REPOSITORY, Gateway

DOCUMENT: dict[str, Any] = json.loads(
    (REPOSITORY / "src" / "contracts" / "lumiere" / "contract.snapshot.json").read_text("utf-8")
)


def of_the_gateway(module: str, *names: str) -> Any:
    """The values that a module of the gateway exports."""
    script = f"import {{ {', '.join(names)} }} from './src/{module}'; console.log(JSON.stringify([{', '.join(names)}]))"
    node = subprocess.run(
        [NODE, "--input-type=module-typescript", "-e", script], cwd=REPOSITORY, capture_output=True, check=True
    )
    return json.loads(node.stdout)


def test_the_codes_are_those_of_the_gateway() -> None:
    errors, closes = of_the_gateway("contract/codes.ts", "ERROR_CODES", "CLOSE_CODES")
    assert {code: meaning.retry for code, meaning in SERVER_CODES.items()} == {
        code: meaning["retry"] for code, meaning in errors.items()
    }
    assert {str(code): meaning.reconnect for code, meaning in CLOSE_CODES.items()} == {
        code: meaning["reconnect"] for code, meaning in closes.items()
    }


def test_the_module_is_what_the_contract_gives() -> None:
    export = [NODE, "scripts/courier.ts", "contract", "export", "--format", "python"]
    printed = subprocess.run(export, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert printed == Path(events.__file__).read_text("utf-8"), "run `npm run contract:renew`"


@pytest.mark.parametrize("name", EVENTS)
def test_the_model_of_the_data_takes_what_the_contract_takes(name: str) -> None:
    model = EVENTS[name].model_fields["data"].annotation
    assert isinstance(model, type)
    generated = model.model_json_schema()
    contracted = DOCUMENT["x-drafts"][name]["properties"]["data"]
    assert comparable(generated, generated.get("$defs", {})) == comparable(contracted, {})


def test_the_metadata_and_the_notices_are_those_of_the_contract() -> None:
    definitions = DOCUMENT["$defs"]
    for name in EVENTS:
        assert fields_of(models.EventMetadata) == comparable(definitions[name]["properties"]["metadata"], {})
    assert DOCUMENT["x-notices"] == ["courier.gap", "courier.live"]
    for name, model in (("courier.gap", models.CourierGapData), ("courier.live", models.CourierLiveData)):
        contracted = comparable(definitions[name]["properties"]["data"], {})
        # A later gateway may give other reasons.
        contracted["properties"].get("reason", {}).pop("enum", None)
        assert fields_of(model) == contracted


def fields_of(model: type[BaseModel]) -> Any:
    fields = comparable(model.model_json_schema(), {})
    assert fields.pop("additionalProperties") is False
    return fields


def comparable(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema without its descriptions, and without what Pydantic writes in another way."""
    if isinstance(schema, list):
        return [comparable(element, definitions) for element in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return comparable(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    if {"type": "null"} in schema.get("anyOf", []):
        # In Python an absent field is None.
        (only,) = (branch for branch in schema["anyOf"] if branch != {"type": "null"})
        return comparable(only, definitions)
    result = {
        key: {name: comparable(field, definitions) for name, field in value.items()}
        if key == "properties"
        else comparable(value, definitions)
        for key, value in schema.items()
        if key not in {"title", "description", "default", "$defs"}
    }
    if result.get("additionalProperties") in (True, {}):
        del result["additionalProperties"]
    if result.get("format") in {"date", "date-time"}:
        result.pop("pattern", None)
    if "properties" not in result and result.get("type") == "object":
        result.get("propertyNames", {}).setdefault("type", "string")
    return result


FIELDS = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def metadata_with(traceparent: str) -> models.EventMetadata:
    return models.EventMetadata(timestamp=datetime.now(timezone.utc), source="forge", traceparent=traceparent)


@pytest.mark.parametrize("traceparent", [f"00-{FIELDS}", f"01-{FIELDS}", f"01-{FIELDS}-what the-future ~ has"])
def test_a_traceparent_is_taken(traceparent: str) -> None:
    assert metadata_with(traceparent).traceparent == traceparent


@pytest.mark.parametrize(
    "traceparent",
    [
        f"00-{FIELDS}-more",
        f"00-{FIELDS}-",
        f"00-{FIELDS}\n",
        f"01-{FIELDS}.more",
        f"01-{FIELDS}-more\n",
        f"01-{FIELDS}-a\x1bb",
        f"01-{FIELDS}-\u00e4",
        f"01-{FIELDS}-{'x' * 73}",
        f"ff-{FIELDS}",
    ],
)
def test_an_invalid_traceparent_is_refused(traceparent: str) -> None:
    with pytest.raises(ValidationError, match="traceparent"):
        metadata_with(traceparent)


METRICS = {"total_return": 0.25, "max_drawdown": 0.1, "trades": 3, "sharpe_ratio": 1.5, "win_rate": 0.5}
STRATEGY: dict[str, Any] = {"strategy_id": "s1"}
FAILED: dict[str, Any] = {"code": "no_data", "message": "no bars", "retryable": True}
ORDER: dict[str, Any] = {"order_id": "o1", "symbol": "SPX", "side": "buy", "quantity": "1.50"}
DRAFTS: list[EventDraft[Any]] = [
    events.strategy_generation_started(**STRATEGY, name="SMA", symbols=["SPX"], parameters={"fast": [20, None]}),
    events.strategy_generation_progress(**STRATEGY, progress=0.5, stage="search", message="going on"),
    events.strategy_generation_completed(**STRATEGY, name="SMA", score=1.25, parameters={}, duration_ms=12.5),
    events.strategy_generation_failed(**STRATEGY, **FAILED),
    events.backtest_started(backtest_id="b1", **STRATEGY, symbol="SPX", from_=date(2000, 1, 3), to=date(2020, 4, 17)),
    events.backtest_progress(backtest_id="b1", progress=1, bars_processed=5, bars_total=5, message="done"),
    events.backtest_completed(backtest_id="b1", metrics=METRICS, **STRATEGY, duration_ms=1),
    events.backtest_failed(backtest_id="b1", **FAILED),
    events.trade_executed(trade_id="t1", **ORDER, price=Decimal("1455.220"), fee="-0.10", **STRATEGY),
    events.order_placed(**ORDER, order_type="limit", limit_price=1455, **STRATEGY),
    events.order_filled(**ORDER, price="1455.22", remaining_quantity=0, **STRATEGY),
    events.order_cancelled(order_id="o1", reason="expired", symbol="SPX", **STRATEGY),
    events.position_updated(symbol="SPX", quantity=Decimal("-1.5E+1"), average_price="12.00", **STRATEGY),
    events.forge_job_started(job_id="j1", kind="backtests", **STRATEGY),
    events.forge_job_progress(job_id="j1", progress=0.5, step="first", message="going on"),
    events.forge_job_completed(job_id="j1", duration_ms=1.5, result={"winner": "s1"}),
    events.forge_job_failed(job_id="j1", **FAILED),
]


def example(name: str) -> dict[str, Any]:
    """What the contract has for an example of a type's data."""
    first: dict[str, Any] = DOCUMENT["x-types"][name]["examples"][0]
    return first


@pytest.mark.parametrize("name", EVENTS)
def test_every_type_has_a_builder(name: str) -> None:
    build = getattr(events, name.replace(".", "_"))
    fields = EVENTS[name].model_fields["data"].annotation.model_fields  # type: ignore[union-attr]
    names = {field.alias or field_name: field_name for field_name, field in fields.items()}
    draft = build(**{names[wire]: value for wire, value in example(name).items()}, channel="user.u1")
    assert (draft.type, draft.channel) == (name, "user.u1")
    assert draft.data.model_dump(mode="json", by_alias=True, exclude_unset=True) == example(name)


async def test_drafts_of_builders_come_back_unchanged(gateway: Gateway) -> None:
    channels = {draft.channel for draft in DRAFTS}
    assert channels == {"strategy.s1", "backtest.b1", "forge.job.j1"}
    async with CourierClient(gateway.url, token=gateway.token("root", "admin")) as client:
        async with client.subscribe([*channels], on_gap="fail") as subscription:
            for draft in DRAFTS:
                await client.publish_event(draft)
            for draft in DRAFTS:
                event = await anext(subscription)
                assert type(event) is EVENTS[draft.type]
                assert event.data == draft.data
                assert event.model_dump(mode="json")["data"] == draft.data.model_dump(mode="json")


def test_builders_check_the_fields() -> None:
    with pytest.raises(InvalidInputError) as caught:
        events.backtest_progress(backtest_id="b 1", progress=2)
    assert [issue.path for issue in caught.value.issues] == ["data.backtest_id", "data.progress"]
    with pytest.raises(InvalidInputError, match="not exact"):
        events.trade_executed(trade_id="t1", **ORDER, price=1.5, **STRATEGY)  # type: ignore[arg-type]
    for price in ("0", "-1", "1e3", "1.", "", Decimal("NaN"), True):
        with pytest.raises(InvalidInputError, match="price"):
            events.trade_executed(trade_id="t1", **ORDER, price=price, **STRATEGY)
    with pytest.raises(InvalidInputError, match="score"):
        events.strategy_generation_completed(**STRATEGY, score=float("inf"))
    with pytest.raises(ValidationError, match="Extra inputs"):
        models.BacktestProgressData(backtest_id="b1", progress=0.5, speed=1)  # type: ignore[call-arg]


def test_builders_say_what_is_wrong_in_the_words_of_the_gateway() -> None:
    with pytest.raises(InvalidInputError) as caught:
        events.backtest_completed(
            backtest_id=5,  # type: ignore[arg-type]
            metrics={"total_retrn": 0.5, "max_drawdown": 0.1, "trades": 1.5, "win_rate": None, "sharpe_ratio": "x"},
            strategy_id="a b",
            duration_ms=-1,
        )
    assert {issue.path: issue.message for issue in caught.value.issues} == {
        "data.backtest_id": "must be a string",
        "data.strategy_id": "must match ^[A-Za-z0-9_-]{1,64}$",
        "data.metrics.total_return": "is required",
        "data.metrics.total_retrn": "is not a known key",
        "data.metrics.trades": "must be an integer",
        "data.metrics.sharpe_ratio": "must be a number",
        "data.duration_ms": "must be at least 0",
    }
    with pytest.raises(InvalidInputError, match=r"^data\.progress: must be at most 1 "):
        events.backtest_progress(backtest_id="b1", progress=1.5)
    with pytest.raises(InvalidInputError) as caught:
        events.order_placed(**{**ORDER, "side": "bye", "symbol": ""}, order_type="limit", limit_price=0, **STRATEGY)
    assert {issue.path: issue.message for issue in caught.value.issues} == {
        "data.side": "must be 'buy' or 'sell'",
        "data.symbol": "must have at least 1 character",
        "data.limit_price": "must be a decimal number such as 12.50, and match "
        r"^(?=.*[1-9])(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$",
    }


@pytest.mark.parametrize(
    ("symbol", "message"),
    [
        ("\U0001f600" * 32, None),
        ("e\u0301" * 16, None),
        ("\U0001f600" * 33, "must have at most 32 characters"),
        ("e\u0301" * 17, "must have at most 32 characters"),
        ("", "must have at least 1 character"),
    ],
)
async def test_a_length_is_the_same_to_a_builder_and_to_the_gateway(
    gateway: Gateway, symbol: str, message: str | None
) -> None:
    fields: dict[str, Any] = {"order_id": "o1", "symbol": symbol, "reason": "expired"}
    draft = EventDraft("user.lengths", "order.cancelled", fields)
    async with CourierClient(gateway.url, token=gateway.token("root", "admin")) as client:
        if message is None:
            await client.publish_event(draft)
            await client.publish_event(events.order_cancelled(**fields, channel="user.lengths"))
            newest = await client.history("user.lengths", order="newest", limit=2)
            assert [type(event) for event in newest.events] == [events.OrderCancelledEvent] * 2
            return
        with pytest.raises(InvalidInputError) as ours:
            events.order_cancelled(**fields)
        with pytest.raises(InvalidInputError) as theirs:
            await client.publish_event(draft)
    assert ours.value.issues == theirs.value.issues == (Issue("data.symbol", message),)


def test_the_reasons_of_a_gap_are_those_of_the_contract() -> None:
    (reasons,) = of_the_gateway("contract/envelope.ts", "GAP_REASONS")
    said = models.CourierGapData.model_fields["reason"].description or ""
    assert re.findall(r"`(\w+)`:", said) == reasons


def test_builders_need_a_channel() -> None:
    assert events.order_cancelled(order_id="o1", reason="expired", channel="user.u1").channel == "user.u1"
    with pytest.raises(InvalidInputError, match="`strategy_id` or `channel`"):
        events.order_cancelled(order_id="o1", reason="expired")


def test_builders_keep_the_options_of_an_event() -> None:
    options: dict[str, Any] = {
        "correlation_id": "run-7",
        "causation_id": "e1-1",
        "user_id": "ada",
        "idempotency_key": "k1",
    }
    draft = events.forge_job_started(job_id="j1", kind="x", timestamp=datetime.now(timezone.utc), **options)
    assert {name: getattr(draft, name) for name in options} == options
