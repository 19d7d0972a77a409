"""Keys that callers give to their events: a wrong one is refused at once, in the words of the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from courier_client import (
    BackgroundPublisher,
    CourierClient,
    InvalidInputError,
    Issue,
    SyncCourierClient,
    events,
)
from processes import Gateway


@pytest.mark.parametrize("key", ["", "a b", "key\n", "größe", "\ud83d", "x" * 129])
async def test_a_wrong_idempotency_key_is_refused_before_it_is_sent(key: str) -> None:
    draft = events.backtest_progress(backtest_id="b1", progress=0.5, idempotency_key=key)
    told: list[Exception] = []
    sync = SyncCourierClient("http://127.0.0.1:1", token="t1", timeout=0.1)
    async with CourierClient("http://127.0.0.1:1", token="t1", timeout=0.1) as client:
        calls: list[Callable[[], Any]] = [
            lambda: client.publish_event(draft),
            lambda: client.publish_batch([draft]),
            lambda: asyncio.to_thread(sync.publish_event, draft),
        ]
        for call in calls:
            with pytest.raises(InvalidInputError) as caught:
                await call()
            told.append(caught.value)
        async with BackgroundPublisher(client, on_error=lambda error, _: told.append(error)) as background:
            background.submit_event(draft)
    message = "idempotency_key must be 1 to 128 printable ASCII characters without spaces"
    assert len(told) == 4
    for error in told:
        assert isinstance(error, InvalidInputError)
        assert (error.code, error.issues) == ("INVALID_ARGUMENT", (Issue("idempotency_key", message),))


@pytest.mark.parametrize("key", ["!", "~" * 128])
async def test_every_other_idempotency_key_arrives(gateway: Gateway, key: str) -> None:
    draft = events.backtest_progress(backtest_id="keys", progress=0.5, idempotency_key=key)
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        receipts = [await client.publish_event(draft) for _ in range(2)]
    assert [receipt.duplicate for receipt in receipts] == [False, True]
