"""Runs the conformance vectors of test/vectors, whose README describes what a runner does."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from pydantic import AwareDatetime, TypeAdapter

from conftest import FAST
from courier_client import AnyEvent, CourierClient, CourierError, EventDraft, GapError, Receipt
from courier_client.models import CourierGapData
from processes import VECTORS, Run, ScriptedServer

Vector = dict[str, Any]


def vectors() -> list[Any]:
    found: list[Any] = []
    for path in sorted(VECTORS.glob("*.json")):
        found += [
            pytest.param(vector, reader, id=f"{path.name}#{vector['name']}-{reader}")
            for vector in json.loads(path.read_text("utf-8")).get("vectors", [])
            if vector.get("only", "plain") == "plain"
            for reader in (("pages", "iterator") if "history" in vector else ("",))
        ]
    return found


@pytest.mark.parametrize(("vector", "reader"), vectors())
async def test_vector(
    vector: Vector, reader: str, request: pytest.FixtureRequest, scripted_server: ScriptedServer
) -> None:
    gaps: list[CourierGapData] = []
    async with (
        scripted_server.play(request.node.callspec.id.removesuffix(f"-{reader}")) as run,
        make_client(run, vector, gaps) as client,
    ):
        if "subscribe" in vector:
            await subscribe(client, run, vector, gaps)
        elif "publish" in vector:
            await publish(client, vector)
        elif "publish_batch" in vector:
            await publish_batch(client, vector)
        else:
            await READERS[reader](client, vector)


def make_client(run: Run, vector: Vector, gaps: list[CourierGapData]) -> CourierClient:
    given = vector.get("client", {})
    options: dict[str, Any] = {
        "timeout": milliseconds(given.get("timeout_ms", 30_000)),
        "give_up_after": milliseconds(given.get("give_up_after_ms")),
    }
    if "on_gap" in given:
        options["on_gap"] = choice(given["on_gap"], gaps)
    return CourierClient(run.url, "tests", token_of(vector), retry=FAST, **options)


def milliseconds(given: float | None) -> float | None:
    return None if given is None else given / 1000


def choice(on_gap: Any, gaps: list[CourierGapData]) -> Any:
    return gaps.append if on_gap == "collect" else on_gap


def token_of(vector: Vector) -> Any:
    """A token, or a function that returns the tokens of a list, then the last one repeatedly."""
    token = vector.get("client", {}).get("token", "t1")
    if isinstance(token, str):
        return token
    rest = iter(token)
    return lambda: next(rest, token[-1])


async def subscribe(client: CourierClient, run: Run, vector: Vector, gaps: list[CourierGapData]) -> None:
    asked, result = vector["subscribe"], vector["result"]
    subscription = client.subscribe(
        asked["channels"],
        types=asked.get("types"),
        from_=asked.get("from", "now"),
        last_event_id=asked.get("last_event_id"),
        on_gap=choice(asked.get("on_gap"), gaps),
    )
    got: list[AnyEvent] = []
    handled: list[str | None] = []
    ended: CourierError | None = None
    try:
        while result["ends"] is not None or len(got) < len(result["events"]):
            got.append(await anext(subscription))
            handled.append(subscription.last_event_id)
        # The server must play the rest of the vector, and the application must receive nothing of it.
        rest = asyncio.ensure_future(anext(subscription))
        await run.done()
        rest.cancel()
        await asyncio.wait([rest])
        assert rest.cancelled(), "more came than was to come"
    except CourierError as error:
        ended = error
    expect_events(vector, got)
    assert handled == result.get("handled", handled)
    if isinstance(ended, GapError):
        gaps.append(ended.gap)
    if "gaps" in result:
        assert [gap.model_dump() for gap in gaps] == result["gaps"]
    expect_end(result["ends"], ended)


def expect_end(expected: Any, ended: CourierError | None) -> None:
    assert (ended is None) == (expected is None), ended
    if ended is not None:
        code = expected["code"]
        assert ended.code == (code if isinstance(code, str) else code["plain"])
        assert expected.get("message", "") in ended.message


def draft_of(asked: Any) -> EventDraft[Any]:
    options = dict(asked.get("options", {}))
    if "timestamp" in options:
        options["timestamp"] = instant(options["timestamp"])
    not_json = {name: float(number) for name, number in asked.get("not_json", {}).items()}
    return EventDraft(asked["channel"], asked["type"], {**asked["data"], **not_json}, **options)


async def publish(client: CourierClient, vector: Vector) -> None:
    result = vector["result"]
    try:
        receipt = await client.publish_event(draft_of(vector["publish"]))
    except CourierError as error:
        expect_error(result.get("error"), error)
    else:
        expect_receipt(result["receipt"], receipt)


async def publish_batch(client: CourierClient, vector: Vector) -> None:
    result = vector["result"]
    try:
        receipts = await client.publish_batch([draft_of(draft) for draft in vector["publish_batch"]])
    except CourierError as error:
        expect_error(result.get("error"), error)
    else:
        for expected, receipt in zip(result["receipts"], receipts, strict=True):
            expect_receipt(expected, receipt)


def expect_receipt(expected: Any, receipt: Receipt) -> None:
    if isinstance(expected, str):
        standard = standard_event(expected)
        expected = {name: standard[name] for name in ("id", "channel", "type")}
        expected.update(timestamp=STANDARD_TIMESTAMP, duplicate=False)
    assert comparable(receipt.model_dump(mode="json")) == comparable(expected)


async def read(client: CourierClient, vector: Vector) -> None:
    asked, result = vector["history"], vector["result"]
    got: list[AnyEvent] = []
    gaps: list[CourierGapData] = []
    after, has_more = asked.get("after"), True
    try:
        while has_more:
            page = await client.history(
                asked["channels"], types=asked.get("types"), after=after, limit=asked.get("limit")
            )
            got.extend(page.events)
            gaps.extend([] if page.gap is None else [page.gap])
            after, has_more = page.next, page.has_more
    except CourierError as error:
        expect_error(result.get("error"), error)
        return
    expect_events(vector, got)
    assert after == result.get("next", after)
    if "gaps" in result:
        assert [gap.model_dump() for gap in gaps] == result["gaps"]


async def iterate(client: CourierClient, vector: Vector) -> None:
    asked, result = vector["history"], vector["result"]
    got: list[AnyEvent] = []
    pages = client.iterate_history(
        asked["channels"],
        types=asked.get("types"),
        after=asked.get("after"),
        page_size=asked.get("limit"),
        on_gap="continue",
    )
    try:
        async for event in pages:
            got.append(event)  # noqa: PERF401 (what came before an error counts)
    except CourierError as error:
        expect_error(result.get("error"), error)
        return
    expect_events(vector, got)


READERS = {"pages": read, "iterator": iterate}


def expect_error(expected: Any, error: CourierError) -> None:
    assert expected is not None, error
    assert error.code == expected["code"]
    assert expected.get("message", error.message) in error.message
    assert expected.get("may_be_stored", error.may_be_stored) == error.may_be_stored
    if "issues" in expected:
        assert [{"path": issue.path, "message": issue.message} for issue in error.issues] == expected["issues"]
    assert expected.get("retryable", error.retryable) == error.retryable
    assert expected.get("idempotency_key", error.idempotency_key) == error.idempotency_key
    assert expected.get("channel", error.channel) == error.channel
    if "retry_after_ms" in expected:
        assert error.retry_after == math.ceil(expected["retry_after_ms"] / 1000)


def expect_events(vector: Vector, got: list[AnyEvent]) -> None:
    sent = {event["id"]: event for event in sent_events(vector)}
    expected = [
        sent.get(event, standard_event(event)) if isinstance(event, str) else event
        for event in vector["result"]["events"]
    ]
    whole = [event.model_dump(mode="json", exclude_unset=True) for event in got]
    assert comparable(whole) == comparable(expected)


def sent_events(vector: Vector) -> Iterator[Any]:
    """The events that the vector writes in full."""
    for connection in vector.get("connections", []):
        for message in connection.get("send", []):
            if "text" in message:
                yield json.loads(message["text"])
            elif isinstance(message.get("event"), dict):
                yield message["event"]
    for answer in vector.get("answers", []):
        if "page" in answer:
            yield from (event for event in answer["page"]["events"] if isinstance(event, dict))


STANDARD_TIMESTAMP = "2026-01-02T03:04:05.678Z"


def standard_event(id_: str) -> dict[str, Any]:
    return {
        "id": id_,
        "channel": "backtest.b1",
        "type": "backtest.progress",
        "metadata": {"timestamp": STANDARD_TIMESTAMP, "source": "cartographe"},
        "data": {"backtest_id": "b1", "progress": 0.5},
    }


def comparable(value: Any, name: str = "") -> Any:
    """The value with timestamps as instants and numbers as doubles."""
    if isinstance(value, dict):
        return {name: comparable(field, name) for name, field in value.items()}
    if isinstance(value, list):
        return [comparable(element) for element in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return instant(value) if name == "timestamp" else value


def instant(text: object) -> datetime:
    parsed = TypeAdapter(AwareDatetime).validate_python(text)
    return parsed.replace(microsecond=parsed.microsecond // 1000 * 1000)
