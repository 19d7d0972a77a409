"""Events that would arrive as something else are refused before they are sent, with the path of the fault.

The conformance vectors have what JSON can say of them. Here is what Python can.
"""

from __future__ import annotations

import enum
import json
from collections import OrderedDict
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, PlainSerializer

from courier_client import (
    BackgroundPublisher,
    CourierClient,
    EventDraft,
    InvalidInputError,
    Issue,
    SyncCourierClient,
    models,
)
from courier_client._json import json_of
from courier_client._outgoing import outgoing
from processes import Gateway

INEXACT = "must be from -9007199254740991 to 9007199254740991: send a larger number as a string"
ILL_FORMED = "must be well-formed Unicode, without half of a surrogate pair"
HALVED_KEY = "is a key with half of a surrogate pair"
NOT_FINITE = "must be a finite number"
ROUNDED = "must be a number that a double holds exactly: send it as a string"
REPEATED_KEY = "is the form in JSON of two keys"
NO_KEY = "has a key of type {} that JSON has no form for: keys must be strings"
NAN, INFINITY = float("nan"), float("inf")


class Size(enum.IntEnum):
    HUGE = 2**60


class Timestamp(datetime):
    """An instant such as that of Pandas."""

    nanosecond = 7


class Free(BaseModel):
    anything: Any = None
    number: float = 0.0
    counts: dict[str, int] = {}


class Wide(int):
    """A number such as NumPy's, as far as `json` is concerned: no exact `int`."""


FAULTS: dict[str, tuple[Any, str, str]] = {
    "an int": ({"a": 2**53}, "data.a", INEXACT),
    "an int below": ({"a": -(2**53)}, "data.a", INEXACT),
    "an int that Python does not write": ({"a": [0, 10**5000]}, "data.a.1", INEXACT),
    "an int of a subclass": ({"a": Wide(2**64)}, "data.a", INEXACT),
    "an enum": ({"a": Size.HUGE}, "data.a", INEXACT),
    "a float": ({"a": {"b": (1, 1e300)}}, "data.a.b.1", INEXACT),
    "a fraction": ({"a": Fraction(2**60)}, "data.a", INEXACT),
    "not a number": ({"a": [{"b": NAN}]}, "data.a.0.b", NOT_FINITE),
    "infinity": (OrderedDict(a=-INFINITY), "data.a", NOT_FINITE),
    "text": ({"a": {"b": ["x", "y\ud83d"]}}, "data.a.b.1", ILL_FORMED),
    "two halves that are no whole": ({"a": "\ud83d\ude80"}, "data.a", ILL_FORMED),
    "a key": ({"a": [{"x\ude80": 1}]}, "data.a.0.x\ufffd", HALVED_KEY),
    "an int in a model": ({"a": Free(anything={"b": 2**70})}, "data.a.anything.b", INEXACT),
    "a float in a model": (Free(number=1e17), "data.number", INEXACT),
    "not a number in a model": (Free(number=NAN), "data.number", NOT_FINITE),
    "infinity in a model": (Free(anything=[{"b": INFINITY}]), "data.anything.0.b", NOT_FINITE),
    "text in a model": (Free(anything=["\ud83d"]), "data.anything.0", ILL_FORMED),
    "a key in a model": (Free(anything=[{"x\ud83d": 1}]), "data.anything.0.x\ufffd", HALVED_KEY),
    "parameters of a known model": (
        models.StrategyGenerationStartedData(strategy_id="s1", parameters={"a": [NAN]}),
        "data.parameters.a.0",
        NOT_FINITE,
    ),
    "an object": ({"a": [object()]}, "data.a.0", "must be JSON, not object"),
    "a time without a zone": (
        {"a": datetime(2026, 1, 2)},  # noqa: DTZ001 (the fault under test)
        "data.a",
        "has no time zone: use datetime.now(timezone.utc)",
    ),
    "a key in a model's mapping": (Free(counts={"x\ud83d": 1}), "data.counts.x\ufffd", HALVED_KEY),
    "a key in a model's object": (Free(anything={"x\ud83d": 1}), "data.anything.x\ufffd", HALVED_KEY),
    "a decimal that is no number": ({"a": [Decimal("NaN")]}, "data.a.0", NOT_FINITE),
    "a decimal that signals": ({"a": Decimal("sNaN")}, "data.a", NOT_FINITE),
    "an infinite decimal": ({"a": Decimal("-Infinity")}, "data.a", NOT_FINITE),
    "a decimal in a model": (Free(anything=[Decimal("NaN")]), "data.anything.0", NOT_FINITE),
    "a fraction that no double is": ({"a": Fraction(1, 3)}, "data.a", ROUNDED),
    "a fraction that is too large": ({"a": Fraction(10**400)}, "data.a", INEXACT),
    "a key twice": ({"a": [{1: "a", "1": "b"}]}, "data.a.0.1", REPEATED_KEY),
    "a truth as a key": ({"a": {True: 1, "true": 2}}, "data.a.true", REPEATED_KEY),
    "nothing as a key": ({None: 1, "null": 2}, "data.null", REPEATED_KEY),
    "a key twice in a model": (Free(anything=[{1: "a", "1": "b"}]), "data.anything.0.1", REPEATED_KEY),
    "not a number below a number": (Free(anything={1: NAN}), "data.anything.1", NOT_FINITE),
    "a key that is a tuple": ({"a": {(1, 2): 3}}, "data.a", NO_KEY.format("tuple")),
    "a key that is not a number": ({"a": {NAN: 3}}, "data.a", NO_KEY.format("float")),
    "a time without a zone in a model": (
        Free(anything=[datetime(2026, 1, 2)]),  # noqa: DTZ001 (the fault under test)
        "data.anything.0",
        "has no time zone: use datetime.now(timezone.utc)",
    ),
    "a time with nanoseconds": (
        {"a": Timestamp(2026, 1, 2, tzinfo=timezone.utc)},
        "data.a",
        "must have at most 6 digits after the seconds, as many as a datetime holds",
    ),
    "a time after all years": (
        {"a": datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))},
        "data.a",
        "must be within the years 1 to 9999",
    ),
}
FAULTY = [pytest.param(*fault, id=name) for name, fault in FAULTS.items()]


@pytest.mark.parametrize(("data", "path", "message"), FAULTY)
async def test_a_fault_is_refused_before_it_is_sent(data: Any, path: str, message: str) -> None:
    async with CourierClient("http://127.0.0.1:1", token="t1") as client:
        with pytest.raises(InvalidInputError) as caught:
            await client.publish("strategy.s1", "strategy.generation.started", data)
    assert caught.value.issues == (Issue(path, message),)
    # JSON has no form for a number that is not finite: the gateway cannot be asked.
    assert caught.value.code == ("INVALID_ARGUMENT" if message == "must be a finite number" else "BAD_REQUEST")
    assert str(caught.value).encode().startswith(f"{path}: {message}".encode())
    with SyncCourierClient("http://127.0.0.1:1", token="t1") as sync_client, pytest.raises(InvalidInputError) as caught:
        sync_client.publish("strategy.s1", "strategy.generation.started", data)
    assert caught.value.issues == (Issue(path, message),)


async def test_a_background_publisher_refuses_it_at_once() -> None:
    told: list[Any] = []
    async with CourierClient("http://127.0.0.1:1", token="t1") as client:
        async with BackgroundPublisher(client, on_error=lambda error, _: told.append(error)) as background:
            background.submit(
                "strategy.s1", "strategy.generation.started", {"strategy_id": "s1", "parameters": {"a": 2**53}}
            )
            assert background.refused == 1
    assert [error.issues for error in told] == [(Issue("data.parameters.a", INEXACT),)]


HALF: list[tuple[dict[str, Any], str]] = [
    ({"type": "\ud83d"}, "type"),
    ({"correlation_id": "\ud83d"}, "metadata.correlation_id"),
    ({"causation_id": "\ud83d"}, "metadata.causation_id"),
    ({"user_id": "\ud83d"}, "metadata.user_id"),
    ({"traceparent": "\ud83d"}, "metadata.traceparent"),
]


@pytest.mark.parametrize(("fields", "path"), HALF)
async def test_the_rest_of_an_event_is_checked_too(fields: dict[str, Any], path: str) -> None:
    sound: dict[str, Any] = {
        "channel": "strategy.s1",
        "type": "strategy.generation.started",
        "data": {"strategy_id": "s1"},
    }
    async with CourierClient("http://127.0.0.1:1", token="t1") as client:
        with pytest.raises(InvalidInputError) as caught:
            await client.publish_event(EventDraft(**{**sound, **fields}))
    assert caught.value.issues == (Issue(path, ILL_FORMED),)


async def test_a_channel_with_half_a_character_is_no_channel() -> None:
    async with CourierClient("http://127.0.0.1:1", token="t1") as client:
        with pytest.raises(InvalidInputError, match=r"'strategy\.\\ud83d' is no channel") as caught:
            await client.publish_event(
                EventDraft("strategy.\ud83d", "strategy.generation.started", {"strategy_id": "s1"})
            )
    assert [issue.path for issue in caught.value.issues] == ["channel"]


async def test_arguments_of_reads_and_subscriptions_are_checked_too() -> None:
    async with CourierClient("http://127.0.0.1:1", token="t1") as client:
        for options in ({"after": "\ud83d"}, {"before": "\ud83d"}, {"types": "\ud83d"}):
            with pytest.raises(InvalidInputError) as caught:
                await client.history("strategy.s1", **options)  # type: ignore[arg-type]
            assert [issue.path for issue in caught.value.issues] == [*options]
        with pytest.raises(InvalidInputError, match="channels"):
            await client.history("strategy.\ud83d")
        with pytest.raises(InvalidInputError, match="channels"):
            client.subscribe("strategy.\ud83d", on_gap="fail")
        with pytest.raises(InvalidInputError, match="last_event_id"):
            await anext(client.subscribe("strategy.s1", on_gap="fail", last_event_id="\ud83d"))


async def test_what_is_exact_arrives_as_it_was_sent(gateway: Gateway) -> None:
    parameters = {
        "numbers": [2**53 - 1, -(2**53) + 1, 0.1, 5e-324, 1e15, True],
        "text": "🚀 größe",
        "🚀": {1: "a key that is a number", "\x00": None},
        "decimal": Decimal(2**70),
        "text of a number": str(2**70),
    }
    async with CourierClient(gateway.url, token=gateway.token("prophet")) as client:
        data = {"strategy_id": "exact", "parameters": parameters}
        await client.publish_event(EventDraft("strategy.exact", "strategy.generation.started", data))
        (event,) = (await client.history("strategy.exact")).events
    assert event.data.model_dump(exclude_unset=True)["parameters"] == {  # type: ignore[union-attr]
        **parameters,
        "🚀": {"1": "a key that is a number", "\x00": None},
        "decimal": str(2**70),
    }


def test_how_a_model_writes_a_value_decides() -> None:
    class Exact(BaseModel):
        id: Annotated[int, PlainSerializer(str, when_used="json")]
        keys: dict[int, float]

    assert json.loads(json_of(Exact(id=2**70, keys={1: 0.5}), "data")) == {"id": str(2**70), "keys": {"1": 0.5}}


IN_BERLIN = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (datetime(2026, 1, 31, 12, tzinfo=timezone.utc), "2026-01-31T12:00:00.000Z"),
        (datetime(2026, 1, 31, 13, 0, 0, 120_000, tzinfo=IN_BERLIN), "2026-01-31T12:00:00.120Z"),
        (datetime(2026, 1, 31, 12, 0, 0, 123_456, tzinfo=timezone.utc), "2026-01-31T12:00:00.123456Z"),
    ],
)
def test_an_instant_has_one_form_wherever_it_stands(instant: datetime, text: str) -> None:
    metadata = models.EventMetadata(timestamp=instant, source="forge")
    wherever = {"in a dict": instant, "in a model": Free(anything=[instant]), "of a field": metadata}
    assert json.loads(json_of(wherever)) == {
        "in a dict": text,
        "in a model": {"anything": [text], "number": 0.0, "counts": {}},
        "of a field": {"timestamp": text, "source": "forge"},
    }
    draft = EventDraft("strategy.s1", "strategy.generation.started", {"strategy_id": "s1"}, timestamp=instant)
    assert json.loads(outgoing(draft).body)["metadata"] == {"timestamp": text}
    assert metadata.model_dump(mode="json", exclude_none=True)["timestamp"] == text


async def test_the_gateway_takes_all_digits_of_an_instant(gateway: Gateway) -> None:
    at = datetime(2026, 1, 31, 12, 0, 0, 123_456, tzinfo=timezone.utc)
    data = {"strategy_id": "instants", "parameters": {"at": at}}
    async with CourierClient(gateway.url, token=gateway.token("prophet")) as client:
        draft = EventDraft("strategy.instants", "strategy.generation.started", data, timestamp=at)
        receipt = await client.publish_event(draft)
        (event,) = (await client.history("strategy.instants")).events
    # Of when it happened the gateway keeps milliseconds.
    assert receipt.timestamp == event.metadata.timestamp == at.replace(microsecond=123_000)
    assert event.data.parameters == {"at": "2026-01-31T12:00:00.123456Z"}  # type: ignore[union-attr]


def test_a_decimal_has_one_form_wherever_it_stands() -> None:
    large = Decimal("1E+5")
    assert json.loads(json_of([large, Free(anything=large)])) == [
        "100000",
        {"anything": "100000", "number": 0.0, "counts": {}},
    ]


def test_cycles_end_and_keys_that_json_has_not_are_refused() -> None:
    cycle: dict[str, Any] = {}
    cycle["again"] = cycle
    for value, message in (
        (cycle, "deeper than 64 levels"),
        ({(1, 2): 3}, "keys must be"),
        ({NAN: 1}, "keys must be"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            json_of(value, "data")
