"""Options are checked when they are given: each refusal names the option."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from conftest import FAST
from courier_client import (
    BackgroundPublisher,
    Backoff,
    CourierClient,
    CourierTimeoutError,
    InvalidInputError,
    SyncCourierClient,
    events,
)
from processes import Gateway
from servers import deaf_server

DRAFT = events.backtest_progress(backtest_id="b1", progress=0.5)
NO_SECONDS: list[Any] = [math.nan, -1, -math.inf, "5", True, [], 5j]


def each(name: str, *values: Any) -> list[tuple[str, Any]]:
    return [(name, value) for value in values]


CLIENT = [
    *each("timeout", *NO_SECONDS),
    *each("attempt_timeout", *NO_SECONDS),
    *each("connect_timeout", *NO_SECONDS),
    *each("retry", 5, "fast", FAST.initial),
    *each("token", 5, b"t1", ["t1"]),
    *each("service_name", 5, "", "a b", "x" * 65),
    *each("base_url", 5, None, b"http://localhost"),
    *each("on_gap", 5, "ignore", []),
    *each("contract", 5),
    *each("ca_file", 5),
]
ASYNC_ONLY = each("give_up_after", *NO_SECONDS)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        *[(kind, *option) for kind in (CourierClient, SyncCourierClient) for option in CLIENT],
        *[(CourierClient, *option) for option in ASYNC_ONLY],
    ],
)
def test_a_wrong_option_of_a_client_is_refused(kind: Any, name: str, value: Any) -> None:
    with pytest.raises(InvalidInputError, match=f"^{name} ") as caught:
        kind(**{"token": "t1", name: value})
    assert caught.value.code == "INVALID_ARGUMENT"
    assert [issue.path for issue in caught.value.issues] == [name]


@pytest.mark.parametrize("value", NO_SECONDS)
async def test_a_wrong_time_limit_of_a_call_is_refused(value: Any) -> None:
    client = CourierClient("http://127.0.0.1:1", token="t1")
    background = BackgroundPublisher(client)
    sync = SyncCourierClient("http://127.0.0.1:1", token="t1")
    calls: list[Any] = [
        lambda: client.publish_event(DRAFT, timeout=value),
        lambda: client.publish_batch([DRAFT], timeout=value),
        lambda: client.history("**", timeout=value),
        lambda: anext(client.iterate_history("**", timeout=value)),
        lambda: background.flush(value),
        lambda: background.aclose(value),
        lambda: client.aclose(value),
        lambda: asyncio.to_thread(sync.publish_event, DRAFT, timeout=value),
        lambda: asyncio.to_thread(sync.history, "**", timeout=value),
        lambda: asyncio.to_thread(sync.close, value),
    ]
    for call in calls:
        with pytest.raises(InvalidInputError, match=r"^timeout must be seconds"):
            await call()
    await background.aclose()
    await client.aclose()
    sync.close()


async def test_other_wrong_options_are_refused() -> None:
    async with CourierClient("http://127.0.0.1:1", token="t1") as client:
        wrong: list[tuple[str, Any]] = [
            ("on_gap", lambda: client.subscribe("**", on_gap=5)),  # type: ignore[arg-type]
            ("from_", lambda: client.subscribe("**", from_="latest")),  # type: ignore[arg-type]
            ("last_event_id", lambda: client.subscribe("**", last_event_id=5)),  # type: ignore[arg-type]
            ("cursor", lambda: client.subscribe("**", cursor="file")),  # type: ignore[arg-type]
            ("on_state", lambda: client.subscribe("**", on_state=5)),  # type: ignore[arg-type]
            ("max_events", lambda: BackgroundPublisher(client, max_events=0)),
            ("max_events", lambda: BackgroundPublisher(client, max_events=1.5)),  # type: ignore[arg-type]
            ("max_events", lambda: BackgroundPublisher(client, max_events=math.nan)),  # type: ignore[arg-type]
            ("max_queued_bytes", lambda: BackgroundPublisher(client, max_queued_bytes=0)),
            ("max_queued_bytes", lambda: BackgroundPublisher(client, max_queued_bytes="1")),  # type: ignore[arg-type]
            ("when_full", lambda: BackgroundPublisher(client, when_full="wait")),  # type: ignore[arg-type]
            ("on_error", lambda: BackgroundPublisher(client, on_error=5)),  # type: ignore[arg-type]
            ("retry", lambda: BackgroundPublisher(client, retry=5)),  # type: ignore[arg-type]
            ("token", lambda: client.set_token(5)),  # type: ignore[arg-type]
            ("initial", lambda: Backoff(initial=math.nan)),
            ("maximum", lambda: Backoff(maximum=-1)),
            ("busy", lambda: Backoff(busy=math.inf)),
        ]
        for name, make in wrong:
            with pytest.raises(InvalidInputError, match=f"^{name} ") as caught:
                make()
            assert [issue.path for issue in caught.value.issues] == [name]
        calls: list[tuple[str, Any]] = [
            ("order", lambda: client.history("**", order="latest")),  # type: ignore[arg-type]
            ("limit", lambda: client.history("**", limit="5")),  # type: ignore[arg-type]
            ("limit", lambda: client.history("**", limit=math.nan)),  # type: ignore[arg-type]
            ("after", lambda: client.history("**", after=5)),  # type: ignore[arg-type]
            ("before", lambda: client.history("**", before=5)),  # type: ignore[arg-type]
            ("event", lambda: client.publish_event(None)),  # type: ignore[arg-type]
            ("events", lambda: client.publish_batch([])),
            ("events", lambda: client.publish_batch([DRAFT] * 501)),
            ("events", lambda: client.publish_batch(DRAFT)),  # type: ignore[arg-type]
        ]
        for name, call in calls:
            with pytest.raises(InvalidInputError, match=f"^{name} ") as caught:
                await call()
            assert [issue.path for issue in caught.value.issues] == [name]


@pytest.mark.parametrize("none", [None, math.inf, 1e300, 10**400])
async def test_no_limit_is_none(none: Any, gateway: Gateway) -> None:
    limits: dict[str, Any] = {"timeout": none, "attempt_timeout": none, "connect_timeout": none}
    async with CourierClient(gateway.url, token=gateway.token(), give_up_after=none, **limits) as client:
        await client.publish_event(DRAFT, timeout=none)
        async with (
            client.subscribe("backtest.b1", from_="earliest") as subscription,
            BackgroundPublisher(client) as own,
        ):
            await anext(subscription)
            own.submit_event(DRAFT)
            assert await own.flush(none)
            await own.aclose(none)
        await client.aclose(none)
    with SyncCourierClient(gateway.url, token=gateway.token(), **limits) as sync:
        await asyncio.to_thread(sync.publish_event, DRAFT, timeout=none)
        await asyncio.to_thread(sync.close, none)


async def test_a_call_without_a_limit_outlasts_that_of_the_client() -> None:
    async with deaf_server() as address:
        async with CourierClient(address, token="t1", timeout=0.05) as client:
            with pytest.raises(CourierTimeoutError):
                await client.publish_event(DRAFT)
            publishing = asyncio.ensure_future(client.publish_event(DRAFT, timeout=None))
            with pytest.raises(CourierTimeoutError):
                await client.publish_event(DRAFT)
            assert not publishing.done()
            publishing.cancel()
            await asyncio.wait([publishing])
