"""How a subscription to the state goes on after a lost connection and a reset, and how it is waited for and closed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from conftest import FAST
from courier_client import (
    ClosedError,
    CourierClient,
    GenericItem,
    InvalidInputError,
    RemovedItem,
    SubscriptionState,
    UnexpectedAnswerError,
)
from processes import Gateway
from waiting import at_rest, until
from watching import keys_of, order, placed, ready, removed, reset, scripted


async def test_before_it_was_ready_it_begins_afresh() -> None:
    before = [order(1, "o1"), order(2, "o2")]
    async with scripted(before, [order(2, "o2"), order(3, "o3"), ready(3)]) as (client, asked):
        async with client.state("strategy.s1", "order") as orders:
            # What comes again is no change; what does not is gone.
            changes = [await anext(orders) for _ in range(4)]
    assert keys_of(changes) == ["o1", "o2", "o3", "o1"]
    assert [isinstance(change, RemovedItem) for change in changes] == [False, False, False, True]
    assert keys_of(orders) == ["o2", "o3"]
    assert asked == [None, None]


async def test_afterwards_it_resumes_behind_the_last_change() -> None:
    async with scripted(
        [order(1, "o1"), ready(4)],
        # What was forgotten comes before earlier changes: it is nothing to resume behind.
        [removed(9, "o1"), order(6, "o2")],
        [ready(7), order(8, "o3"), removed(12, "o2"), removed(13, "o2")],
        [ready(15)],
    ) as (client, asked):
        async with client.state("strategy.s1", "order") as orders:
            changes = [await anext(orders) for _ in range(5)]
            assert orders.position == "e1-8"
            waiting = asyncio.ensure_future(anext(orders))
            await until(lambda: orders.position == "e1-15")
            waiting.cancel()
    assert keys_of(changes) == ["o1", "o1", "o2", "o3", "o2"]
    assert asked == [None, "e1-4", "e1-4", "e1-8"]


async def test_a_reset_keeps_what_is_held_until_it_is_ready() -> None:
    messages = [order(1, "o1"), order(2, "o2"), ready(2), reset(2), order(1, "o1"), order(3, "o3")]
    async with scripted(messages, [order(1, "o1"), ready(4)]) as (client, asked):
        async with client.state("strategy.s1", "order") as orders:
            await orders.ready()
            assert (await anext(orders)).key == "o3"
            assert keys_of(orders) == ["o1", "o2", "o3"]
            assert not orders.is_ready
            # The connection is lost before it is ready.
            await orders.ready()
            assert keys_of(orders) == ["o1"]
    assert asked == [None, None]


async def test_a_state_of_another_form_is_generic() -> None:
    strange = order(1, "o1", status="lost")
    newer = {**order(2, "o2", colour="red"), "added": 1}
    async with scripted([strange, newer, ready(2)]) as (client, _):
        async with client.state("strategy.s1", "order") as orders:
            first, second = await anext(orders), await anext(orders)
    assert isinstance(first, GenericItem)
    assert first.state == strange["state"]
    assert not isinstance(second, GenericItem | RemovedItem)
    assert (second.model_extra, second.state.model_extra) == ({"added": 1}, {"colour": "red"})


@pytest.mark.parametrize("message", [{}, [], {"type": "state.ready"}, {**order(1, "o1"), "state": None, "key": 5}])
async def test_what_is_no_item_ends_it(message: Any) -> None:
    async with scripted([message]) as (client, _):
        with pytest.raises(UnexpectedAnswerError):
            await client.state("strategy.s1", "order").ready()


async def test_a_cancellation_loses_no_change() -> None:
    async with scripted([order(1, "o1"), ready(1), order(2, "o2")]) as (client, _):
        orders = client.state("strategy.s1", "order")
        for _ in range(20):
            asking = asyncio.ensure_future(anext(orders))
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])
            if not asking.cancelled():
                assert asking.result().key == "o1"
                break
        else:
            assert (await anext(orders)).key == "o1"
        assert (await anext(orders)).key == "o2"


async def test_one_task_iterates_and_others_wait_until_it_is_ready() -> None:
    async with scripted([order(1, "o1"), order(2, "o2"), ready(2), order(3, "o3")]) as (client, _):
        async with client.state("strategy.s1", "order") as orders:

            async def iterate() -> list[str]:
                return [change.key async for change in orders]

            iterating = asyncio.ensure_future(iterate())
            await asyncio.gather(*(orders.ready() for _ in range(3)))
            await until(lambda: len(orders) == 3)
        assert await iterating == ["o1", "o2", "o3"]


async def test_who_iterates_waits_for_who_reads_until_it_is_ready() -> None:
    async with scripted([order(1, "o1")], [order(1, "o1"), ready(1), order(2, "o2")]) as (client, _):
        async with client.state("strategy.s1", "order") as orders:
            waiting = [asyncio.ensure_future(orders.ready()) for _ in range(2)]
            await asyncio.sleep(0)
            first = asyncio.ensure_future(anext(orders))
            await asyncio.gather(*waiting)
            assert (await first).key == "o2"


async def test_another_takes_over_from_who_was_cancelled() -> None:
    async with scripted([order(1, "o1")], [order(1, "o1"), ready(1)]) as (client, _):
        orders = client.state("strategy.s1", "order")
        first = asyncio.ensure_future(orders.ready())
        second = asyncio.ensure_future(orders.ready())
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert first.cancelled()
        assert keys_of(orders) == ["o1"]


async def test_one_that_iterated_and_has_ended_keeps_nobody_waiting() -> None:
    async with scripted([order(1, "o1"), order(2, "o2"), ready(2)]) as (client, _):
        async with client.state("strategy.s1", "order") as orders:

            async def one() -> None:
                assert (await anext(orders)).key == "o1"
                await release.wait()

            release = asyncio.Event()
            iterating = asyncio.ensure_future(one())
            await until(lambda: len(orders) == 1)
            waiting = asyncio.ensure_future(orders.ready())
            await at_rest(lambda: len(orders))
            assert not waiting.done()
            release.set()
            await asyncio.gather(iterating, waiting)
            assert keys_of(orders) == ["o1", "o2"]


async def test_closing_ends_what_waits() -> None:
    async with scripted([order(1, "o1")]) as (client, _):
        orders = client.state("strategy.s1", "order")
        waiting = asyncio.ensure_future(orders.ready())
        await until(lambda: len(orders) == 1)
        await orders.aclose()
        with pytest.raises(ClosedError):
            await waiting
        with pytest.raises(ClosedError):
            await orders.ready()
        assert [change async for change in orders] == []
    with pytest.raises(ClosedError):
        client.state("strategy.s1", "order")


async def test_two_consumers_are_refused() -> None:
    async with scripted([ready(1)]) as (client, _):
        async with client.state("strategy.s1", "order") as orders:
            first = asyncio.ensure_future(anext(orders))
            await until(lambda: orders.is_ready)
            with pytest.raises(InvalidInputError, match="one consumer"):
                await anext(orders)
            first.cancel()


def test_the_end_of_an_event_loop_ends_it(gateway: Gateway) -> None:
    client = CourierClient(gateway.url, token=gateway.token("chevalier"), retry=FAST)
    orders = client.state("strategy.loops", "order")

    async def first() -> None:
        await client.publish_event(placed("loops", "o1"))
        await orders.ready()

    async def second() -> None:
        others = client.state("strategy.loops", "order")
        await others.ready()
        await client.publish_event(placed("loops", "o2"))
        assert (await anext(others)).key == "o2"
        assert sorted(keys_of(others)) == ["o1", "o2"]
        await client.aclose()

    asyncio.run(first())
    assert orders.state is SubscriptionState.CLOSED
    asyncio.run(second())
    assert keys_of(orders) == ["o1"]
