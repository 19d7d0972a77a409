"""What several threads and event loops do at one moment: each test holds one of them there, and lets others go on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

import pytest
from typing_extensions import TypeVarTuple, Unpack

from conftest import FAST
from courier_client import (
    BackgroundPublisher,
    ClosedError,
    CourierClient,
    EventDraft,
    InvalidInputError,
    QueueFullError,
    Subscription,
    SubscriptionState,
    SyncCourierClient,
    events,
)
from processes import Gateway
from submitting import counters, numbers_on, progress

Ts = TypeVarTuple("Ts")
PATIENCE = 10.0
Told = list[tuple[type[Exception], Any]]


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


class HeldLoop(asyncio.SelectorEventLoop):
    """An event loop that calls a function when another thread asks something of it."""

    meanwhile: Callable[[], object] | None = None

    def _hold(self) -> None:
        hold, self.meanwhile = self.meanwhile, None
        if hold is not None:
            hold()

    def is_closed(self) -> bool:
        self._hold()
        return super().is_closed()

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: Unpack[Ts], context: Context | None = None
    ) -> asyncio.Handle:
        self._hold()
        return super().call_soon_threadsafe(callback, *args, context=context)


def test_event_loops_of_several_threads_begin_to_use_a_client_together(gateway: Gateway) -> None:
    client = CourierClient(gateway.url, token=gateway.token())
    subscriptions: list[Subscription] = []

    async def use() -> None:
        subscriptions.append(await client.subscribe("backtest.loops").__aenter__())

    first, second, third = HeldLoop(), asyncio.new_event_loop(), asyncio.new_event_loop()
    first.run_until_complete(use())
    # While the second loop looks at those that there are, the third one comes.
    first.meanwhile = lambda: in_thread(lambda: third.run_until_complete(use())).join(PATIENCE)
    second.run_until_complete(use())
    for loop in (first, second, third):
        loop.run_until_complete(client.aclose())
        loop.close()
    assert [subscription.state for subscription in subscriptions] == [SubscriptionState.CLOSED] * 3


@pytest.mark.parametrize("ends_in_order", [True, False])
def test_an_event_loop_ends_while_a_thread_submits(*, ends_in_order: bool) -> None:
    told: Told = []
    loop = HeldLoop()
    asked, ended = threading.Event(), threading.Event()

    def on_error(error: Exception, event: EventDraft[Any]) -> None:
        told.append((type(error), event.data["bars_processed"]))

    async def begin() -> BackgroundPublisher:
        client = CourierClient("http://127.0.0.1:1", token="t1", retry=FAST)
        background = BackgroundPublisher(client, on_error=on_error)
        background.submit_event(progress("ends", 1))
        await asyncio.sleep(0)
        return background

    def hold() -> None:
        asked.set()
        assert ended.wait(PATIENCE)

    background = loop.run_until_complete(begin())
    loop.meanwhile = hold
    submitting = in_thread(lambda: background.submit_event(progress("ends", 2)))
    assert asked.wait(PATIENCE)
    if ends_in_order:
        loop.run_until_complete(end_tasks())
    else:
        loop.set_exception_handler(lambda *_: None)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    ended.set()
    submitting.join(PATIENCE)
    background.submit_event(progress("ends", 3))
    assert sorted(told, key=str) == [(ClosedError, number) for number in (1, 2, 3)]
    assert counters(background) == {"submitted": 3, "dropped": 3}


async def end_tasks() -> None:
    """As `asyncio.run` does at its end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@pytest.mark.parametrize("how", ["flush", "close"])
async def test_what_a_thread_has_submitted_before_is_waited_for(how: str, gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        background = BackgroundPublisher(client)
        for number in range(3):
            # The thread has submitted, and the event loop has not run since.
            in_thread(partial(background.submit_event, progress(how, number))).join(PATIENCE)
        assert counters(background) == {"submitted": 3, "pending": 3}
        if how == "flush":
            assert await background.flush(10)
        await background.aclose(10)
        assert counters(background) == {"submitted": 3, "published": 3}
    assert await numbers_on(gateway, f"backtest.{how}") == [0, 1, 2]


@pytest.mark.parametrize("later", ["submitted", "published"])
async def test_what_a_thread_has_submitted_before_goes_first(later: str, gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token()) as client, BackgroundPublisher(client) as background:
        in_thread(partial(background.submit_event, progress(f"first-{later}", 0))).join(PATIENCE)
        if later == "submitted":
            background.submit_event(progress(f"first-{later}", 1))
        else:
            await client.publish_event(progress(f"first-{later}", 1))
        assert await background.flush(10)
    assert await numbers_on(gateway, f"backtest.first-{later}") == [0, 1]


@pytest.mark.parametrize(("when_full", "kept"), [("drop-oldest", range(990, 1000)), ("drop-newest", range(10))])
@pytest.mark.parametrize("bound", ["max_events", "max_queued_bytes"])
async def test_what_threads_submit_to_a_busy_event_loop_has_a_bound(when_full: Any, kept: range, bound: str) -> None:
    now = datetime.now(timezone.utc)
    told: Told = []

    def event(number: int) -> EventDraft[Any]:
        return replace(progress("flood", 1000 + number), timestamp=now)

    def flood() -> None:
        for number in range(1000):
            background.submit_event(event(number))

    def on_error(error: Exception, event: EventDraft[Any]) -> None:
        told.append((type(error), event.data["bars_processed"] - 1000))

    async with CourierClient("http://127.0.0.1:1", token="t1", retry=FAST) as client:
        options: dict[str, Any] = {bound: 10 if bound == "max_events" else 10 * len(client.outgoing(event(0)).body)}
        async with BackgroundPublisher(client, when_full=when_full, on_error=on_error, **options) as background:
            # The event loop is busy: it waits for the thread.
            in_thread(flood).join(PATIENCE)
            assert counters(background) == {"submitted": 1000, "dropped": 990, "pending": 10}
            assert told == [(QueueFullError, number) for number in range(1000) if number not in kept]
            await background.aclose(timeout=0)
        assert told[990:] == [(ClosedError, number) for number in kept]
        assert counters(background) == {"submitted": 1000, "dropped": 1000}


async def test_another_event_loop_neither_flushes_nor_closes(gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token()) as client, BackgroundPublisher(client) as background:
        with pytest.raises(InvalidInputError, match="in its own event loop"):
            await asyncio.to_thread(asyncio.run, background.flush())
        with pytest.raises(InvalidInputError, match="in its own event loop"):
            await asyncio.to_thread(asyncio.run, background.aclose())
        background.submit_event(progress("own", 1))
        assert await background.flush(10)
        assert counters(background) == {"submitted": 1, "published": 1}


class SlowClient(CourierClient):
    """A client that calls a function before a publisher begins in an event loop."""

    meanwhile: Callable[[], object] | None = None

    def order(self) -> Any:
        hold, self.meanwhile = self.meanwhile, None
        if hold is not None:
            hold()
        return super().order()


async def test_a_publisher_begins_in_one_event_loop_of_a_child(gateway: Gateway) -> None:
    begun, done = threading.Event(), threading.Event()

    async def other() -> None:
        background.submit_event(progress("child", 0))
        begun.set()
        await asyncio.to_thread(done.wait, PATIENCE)
        await background.aclose()

    def let_the_other_begin() -> None:
        threads.append(in_thread(lambda: asyncio.run(other())))
        assert begun.wait(PATIENCE)

    threads: list[threading.Thread] = []
    async with SlowClient(gateway.url, token=gateway.token()) as client:
        background = BackgroundPublisher(client)
        await background.flush()
        # As in a child process: the first event loop in which somebody submits is that of the publisher.
        background.after_fork()
        client.meanwhile = let_the_other_begin
        before = asyncio.all_tasks()
        background.submit_event(progress("child", 1))
        assert asyncio.all_tasks() == before, "it began here too"
        done.set()
        await asyncio.to_thread(threads[0].join, PATIENCE)
        assert counters(background) == {"submitted": 2, "published": 2}
    assert await numbers_on(gateway, "backtest.child") == [0, 1]


def test_a_client_is_closed_while_a_thread_asks_for_a_token() -> None:
    asked, closed = threading.Event(), threading.Event()
    raised: list[Exception] = []

    def token() -> str:
        asked.set()
        assert closed.wait(PATIENCE)
        return "t1"

    def publish() -> None:
        try:
            client.publish_event(events.backtest_progress(backtest_id="b1", progress=0.5))
        except Exception as error:  # noqa: BLE001 (which one is the question)
            raised.append(error)

    client = SyncCourierClient("http://127.0.0.1:1", token=token, retry=FAST)
    publishing = in_thread(publish)
    assert asked.wait(PATIENCE)
    client.close(timeout=0)
    closed.set()
    publishing.join(PATIENCE)
    assert [type(error) for error in raised] == [ClosedError]
