"""Reading the history, with both clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from courier_client import CourierClient, GapError, InvalidInputError, SyncCourierClient, events
from courier_client.models import CourierGapData
from processes import Gateway


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[CourierClient]:
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        yield client


@pytest.fixture
async def stored(client: CourierClient, request: pytest.FixtureRequest) -> list[str]:
    """Publishes five events on a channel with the name of the test. Returns their ids."""
    name = request.node.originalname
    drafts = [events.backtest_progress(backtest_id=name, progress=number / 10) for number in range(5)]
    return [(await client.publish_event(draft)).id for draft in drafts]


async def test_pages_follow_each_other(client: CourierClient, stored: list[str]) -> None:
    channel = "backtest.test_pages_follow_each_other"
    first = await client.history(channel, limit=2)
    assert [event.id for event in first.events] == stored[:2]
    assert first.has_more
    rest = await client.history([channel, "user.nobody"], after=first.next, types=["backtest.progress"])
    assert [event.id for event in rest.events] == stored[2:]
    assert (rest.has_more, rest.gap) == (False, None)
    assert (await client.history(channel, after=rest.next)).events == ()
    assert (await client.history(channel, types="backtest.failed")).events == ()


async def test_the_newest_first(client: CourierClient, gateway: Gateway, stored: list[str]) -> None:
    channel = "backtest.test_the_newest_first"
    page = await client.history(channel, order="newest", limit=2)
    assert [event.id for event in page.events] == stored[:2:-1]
    with SyncCourierClient(gateway.url, token=gateway.token()) as sync:
        assert sync.history(channel, order="newest", limit=2) == page
        rest = sync.history(channel, order="newest", before=page.next)
    assert page.has_more
    assert [event.id for event in rest.events] == stored[2::-1]
    assert (rest.has_more, rest.gap) == (False, None)
    assert await client.history(channel, order="newest", before=page.next) == rest
    with pytest.raises(InvalidInputError) as caught:
        await client.history(channel, before=page.next)
    assert [issue.path for issue in caught.value.issues] == ["before"]


@pytest.mark.parametrize("page_size", [1, 2, 5, None])
async def test_all_pages(client: CourierClient, gateway: Gateway, stored: list[str], page_size: int | None) -> None:
    after, channel = stored[0], "backtest.test_all_pages"
    pages = client.iterate_history(channel, after=after, page_size=page_size)
    got = [event.id async for event in pages]
    assert got == stored[1:]
    with SyncCourierClient(gateway.url, token=gateway.token()) as sync:
        assert [event.id for event in sync.iterate_history(channel, after=after, page_size=page_size)] == got


async def test_a_gap_is_not_silent(client: CourierClient, gateway: Gateway, stored: list[str]) -> None:
    options: dict[str, Any] = {"channels": "backtest.test_a_gap_is_not_silent", "after": "another-7"}
    page = await client.history(**options)
    assert page.gap is not None
    assert (page.gap.reason, page.gap.requested) == ("epoch", "another-7")
    with pytest.raises(GapError, match="another-7") as caught:
        await anext(aiter(client.iterate_history(**options)))
    assert caught.value.gap == page.gap
    got = [event.id async for event in client.iterate_history(**options, on_gap="continue")]
    assert got == stored
    with SyncCourierClient(gateway.url, token=gateway.token()) as sync:
        with pytest.raises(GapError):
            next(iter(sync.iterate_history(**options)))
        assert [event.id for event in sync.iterate_history(**options, on_gap="continue")] == stored


async def test_the_client_chooses_what_a_gap_does_to_an_iteration(gateway: Gateway, stored: list[str]) -> None:
    options: dict[str, Any] = {
        "channels": "backtest.test_the_client_chooses_what_a_gap_does_to_an_iteration",
        "after": "another-7",
    }
    told: list[str] = []

    async def on_gap(gap: CourierGapData) -> None:
        told.append(gap.reason)

    async with CourierClient(gateway.url, token=gateway.token(), on_gap=on_gap) as client:
        assert [event.id async for event in client.iterate_history(**options)] == stored
        with pytest.raises(GapError):
            await anext(aiter(client.iterate_history(**options, on_gap="fail")))
    with SyncCourierClient(gateway.url, token=gateway.token(), on_gap=lambda gap: told.append(gap.reason)) as sync:
        assert [event.id for event in sync.iterate_history(**options)] == stored
    assert told == ["epoch", "epoch"]


async def test_refusals_name_the_fault(client: CourierClient) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await client.history("backtest.b1", limit=0)
    assert [issue.path for issue in caught.value.issues] == ["limit"]
    with pytest.raises(InvalidInputError, match=r"a\.\.b"):
        await client.history("a..b")
    with pytest.raises(InvalidInputError, match="types"):
        await client.history("backtest.b1", types=[])
