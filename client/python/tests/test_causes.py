"""What led to an event is said of it by itself, in whatever way the handler of that one publishes it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from courier_client import (
    AnyEvent,
    BackgroundPublisher,
    CourierClient,
    EventDraft,
    EventOptions,
    InvalidInputError,
    SyncCourierClient,
    caused_by,
    events,
)
from processes import Gateway
from servers import free_port
from submitting import publisher

Causes = list[tuple[str | None, str | None]]
"""The `causation_id` and the `correlation_id` of each event."""
Way = Callable[["Publishers", EventDraft[Any]], Awaitable[object]]


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[CourierClient]:
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        yield client


@pytest.fixture
def channel(request: pytest.FixtureRequest) -> str:
    """A channel of the test, by its number among all."""
    number = request.session.items.index(request.node)
    return f"backtest.causes-{number}"


def draft(channel: str, number: int = 0, **options: Any) -> EventDraft[Any]:
    return events.backtest_progress(
        backtest_id=channel.removeprefix("backtest."), progress=0.5, bars_processed=number, **options
    )


async def received(client: CourierClient, channel: str, number: int = 1, **options: Any) -> list[AnyEvent]:
    """So many events that were published, and come from a subscription."""
    async with client.subscribe(f"{channel}-cause") as subscription:
        await client.publish_batch([draft(f"{channel}-cause", at, **options) for at in range(number)])
        return [await anext(subscription) for _ in range(number)]


async def causes_on(client: CourierClient, channel: str) -> Causes:
    found = [event.metadata async for event in client.iterate_history(channel)]
    return [(metadata.causation_id, metadata.correlation_id) for metadata in found]


class Publishers:
    """All that publishes."""

    def __init__(self, client: CourierClient, background: BackgroundPublisher, sync: SyncCourierClient) -> None:
        self.client = client
        self.background = background
        self.sync = sync


@pytest.fixture
async def publishers(client: CourierClient, gateway: Gateway) -> AsyncIterator[Publishers]:
    with SyncCourierClient(gateway.url, token=gateway.token()) as sync:
        async with BackgroundPublisher(client) as background:
            yield Publishers(client, background, sync)


async def _publish(by: Publishers, event: EventDraft[Any]) -> None:
    await by.client.publish(event.channel, "backtest.progress", event.data)


async def _publish_event(by: Publishers, event: EventDraft[Any]) -> None:
    await by.client.publish_event(event)


async def _publish_batch(by: Publishers, event: EventDraft[Any]) -> None:
    await by.client.publish_batch([event])


async def _submit(by: Publishers, event: EventDraft[Any]) -> None:
    by.background.submit(event.channel, "backtest.progress", event.data)


async def _submit_event(by: Publishers, event: EventDraft[Any]) -> None:
    by.background.submit_event(event)


async def _in_a_task(by: Publishers, event: EventDraft[Any]) -> object:
    return asyncio.create_task(_publish_event(by, event))


async def _submit_in_a_thread(by: Publishers, event: EventDraft[Any]) -> None:
    await asyncio.to_thread(by.background.submit_event, event)


async def _sync(by: Publishers, event: EventDraft[Any]) -> None:
    by.sync.publish(event.channel, "backtest.progress", event.data)


async def _sync_batch(by: Publishers, event: EventDraft[Any]) -> None:
    by.sync.publish_batch([event])


async def _sync_in_a_thread(by: Publishers, event: EventDraft[Any]) -> None:
    await asyncio.to_thread(by.sync.publish_event, event)


async def _sync_in_a_thread_of_its_own(by: Publishers, event: EventDraft[Any]) -> None:
    thread = threading.Thread(target=contextvars.copy_context().run, args=(by.sync.publish_event, event))
    thread.start()
    await asyncio.to_thread(thread.join)


WAYS: list[Way] = [
    _publish,
    _publish_event,
    _publish_batch,
    _submit,
    _submit_event,
    _in_a_task,
    _submit_in_a_thread,
    _sync,
    _sync_batch,
    _sync_in_a_thread,
    _sync_in_a_thread_of_its_own,
]


@pytest.mark.parametrize("way", WAYS)
async def test_whatever_publishes_says_the_cause(publishers: Publishers, channel: str, way: Way) -> None:
    client = publishers.client
    (event,) = await received(client, channel, correlation_id="run-7")
    with caused_by(event):
        made = await way(publishers, draft(channel))
    # What was begun inside may end outside; what begins outside has no cause.
    if isinstance(made, asyncio.Task):
        await made
    await publishers.background.flush()
    made = await way(publishers, draft(channel))
    if isinstance(made, asyncio.Task):
        await made
    await publishers.background.flush()
    inside, outside = [event async for event in client.iterate_history(channel)]
    assert (inside.metadata.causation_id, inside.metadata.correlation_id) == (event.id, "run-7")
    assert (outside.metadata.causation_id, outside.metadata.correlation_id) == (None, outside.id)


async def test_what_the_caller_gives_stays_each_by_itself(client: CourierClient, channel: str) -> None:
    event, other = await received(client, channel, 2, correlation_id="run-7")
    given: list[EventOptions] = [
        {},
        {"causation_id": other.id},
        {"correlation_id": "mine"},
        {"causation_id": other.id, "correlation_id": "mine"},
    ]
    with caused_by(event):
        await client.publish_batch([draft(channel, **options) for options in given])
    expected = [(event.id, "run-7"), (other.id, "run-7"), (event.id, "mine"), (other.id, "mine")]
    assert await causes_on(client, channel) == expected


async def test_an_event_without_a_correlation_id_gives_its_id(client: CourierClient, channel: str) -> None:
    (event,) = await received(client, channel)
    bare = event.model_copy(update={"metadata": event.metadata.model_copy(update={"correlation_id": None})})
    with caused_by(bare):
        await client.publish_event(draft(channel))
    assert await causes_on(client, channel) == [(event.id, event.id)]


async def test_the_inner_cause_holds_inside_the_outer_one(client: CourierClient, channel: str) -> None:
    outer, inner = await received(client, channel, 2)
    with caused_by(outer):
        await client.publish_event(draft(channel, 0))
        with caused_by(inner):
            await client.publish_event(draft(channel, 1))
            with caused_by(None):
                alone = await client.publish_event(draft(channel, 2))
            await client.publish_event(draft(channel, 3))
        await client.publish_event(draft(channel, 4))
    assert [cause for cause, _ in await causes_on(client, channel)] == [outer.id, inner.id, None, inner.id, outer.id]
    assert (await causes_on(client, channel))[2] == (None, alone.id)


async def test_handlers_that_run_at_once_do_not_mix(client: CourierClient, channel: str) -> None:
    causes = await received(client, channel, 20)
    within, all_within = 0, asyncio.Event()

    async def handle(event: AnyEvent) -> None:
        await client.publish_event(draft(f"{channel}-of-{event.id}", 0, correlation_id=event.id))

    async def run(event: AnyEvent) -> None:
        nonlocal within
        with caused_by(event):
            within += 1
            if within == len(causes):
                all_within.set()
            await all_within.wait()
            await asyncio.gather(handle(event), handle(event))
            await handle(event)

    await asyncio.gather(*map(run, causes))
    for event in causes:
        assert await causes_on(client, f"{channel}-of-{event.id}") == [(event.id, event.id)] * 3


async def test_threads_that_run_at_once_do_not_mix(client: CourierClient, gateway: Gateway, channel: str) -> None:
    causes = await received(client, channel, 8)
    all_within = threading.Barrier(len(causes), timeout=20)

    def run(event: AnyEvent) -> None:
        with caused_by(event):
            all_within.wait()
            sync.publish_event(draft(f"{channel}-of-{event.id}"))
            all_within.wait()
            sync.publish_batch([draft(f"{channel}-of-{event.id}")])
        sync.publish_event(draft(f"{channel}-of-{event.id}"))

    with SyncCourierClient(gateway.url, token=gateway.token()) as sync, ThreadPoolExecutor(len(causes)) as pool:
        await asyncio.gather(*(asyncio.get_running_loop().run_in_executor(pool, run, event) for event in causes))
    for event in causes:
        found = [cause for cause, _ in await causes_on(client, f"{channel}-of-{event.id}")]
        assert found == [event.id, event.id, None]


async def test_an_error_ends_the_cause(client: CourierClient, channel: str) -> None:
    outer, event = await received(client, channel, 2)

    async def handle() -> None:
        with caused_by(event):
            await client.publish_event(draft(channel, 0))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await handle()
    await client.publish_event(draft(channel, 1))
    with caused_by(outer):
        with pytest.raises(ZeroDivisionError):
            await handle()
        await client.publish_event(draft(channel, 3))
    assert [cause for cause, _ in await causes_on(client, channel)] == [event.id, None, event.id, outer.id]


async def test_a_background_publisher_notes_the_cause_when_it_is_submitted(
    client: CourierClient, gateway: Gateway, channel: str
) -> None:
    first, second = await received(client, channel, 2, correlation_id="run-7")
    port = free_port()
    with caused_by(first):
        away = publisher(f"http://127.0.0.1:{port}", gateway.token(), 5)
        background = await away.__aenter__()
        background.submit_event(draft(channel, 0))
    background.submit_event(draft(channel, 1))
    with caused_by(second):
        background.submit_event(draft(channel, 2))
        await asyncio.to_thread(background.submit_event, draft(channel, 3))
    background.submit_event(draft(channel, 4))
    with caused_by(first), Gateway(port=port) as late:
        assert await background.flush(20)
        async with CourierClient(late.url, token=late.token()) as reader:
            found = [cause for cause, _ in await causes_on(reader, channel)]
        await away.__aexit__(None, None, None)
    assert found == [first.id, None, second.id, second.id, None]


async def test_what_on_error_publishes_has_no_cause(client: CourierClient, channel: str) -> None:
    (event,) = await received(client, channel)
    told: list[str | None] = []

    def on_error(_error: Exception, lost: EventDraft[Any]) -> None:
        told.append(lost.causation_id)
        background.submit_event(draft(channel, 9))

    data = {"backtest_id": channel.removeprefix("backtest."), "progress": 2}
    with caused_by(event):
        async with BackgroundPublisher(client, on_error=on_error) as background:
            background.submit_event(EventDraft(channel, "backtest.progress", data))
            assert await background.flush(10)
    (found,) = [event async for event in client.iterate_history(channel)]
    assert told == [event.id]
    assert found.metadata.causation_id is None


async def test_a_generator_may_be_closed_in_another_context(client: CourierClient, channel: str) -> None:
    event, other = await received(client, channel, 2)

    async def handling() -> AsyncIterator[None]:
        with caused_by(event):
            await client.publish_event(draft(channel, 0))
            yield

    generator = handling()
    await asyncio.create_task(_next(generator))
    with caused_by(other):
        await asyncio.create_task(_close(generator))
        await client.publish_event(draft(channel, 1))
    assert [cause for cause, _ in await causes_on(client, channel)] == [event.id, other.id]


async def _next(generator: AsyncIterator[None]) -> None:
    await anext(generator)


async def _close(generator: Any) -> None:
    await generator.aclose()


async def test_only_events_are_causes(client: CourierClient, channel: str) -> None:
    receipt = await client.publish_event(draft(channel))
    state = await client.read_state(channel, "backtest")
    (item,) = state.items
    wrong: list[Any] = [item, item.id, receipt]
    for given in wrong:
        with pytest.raises(InvalidInputError) as caught:
            caused_by(given)
        assert [issue.path for issue in caught.value.issues] == ["event"]
