"""The state without asyncio."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from conftest import FAST
from courier_client import (
    ClosedError,
    CourierTimeoutError,
    ForbiddenError,
    InvalidInputError,
    RemovedItem,
    SubscriptionState,
    SyncCourierClient,
    UnavailableError,
    events,
)
from processes import Gateway
from servers import free_port
from watching import filled, placed


@pytest.fixture
def client(gateway: Gateway) -> Iterator[SyncCourierClient]:
    with SyncCourierClient(gateway.url, "script", gateway.token("chevalier"), retry=FAST) as client:
        yield client


def test_what_is_and_what_changes(client: SyncCourierClient) -> None:
    threads = threading.active_count()
    client.publish_event(placed("sync", "o1"))
    with client.state("strategy.sync", "order", open=True) as orders:
        orders.ready(timeout=10)
        assert (orders.is_ready, orders.state) == (True, SubscriptionState.LIVE)
        assert [item.key for item in orders] == ["o1"]
        client.publish_event(placed("sync", "o2"))
        client.publish_event(filled("sync", "o1", "2.50", "0"))
        changes = orders.changes(timeout=10)
        first, second = next(changes), next(changes)
        assert isinstance(first, events.OrderItem)
        assert first.state.quantity == Decimal("2.50")
        assert (first, orders.get("o2"), orders.items["strategy.sync", "o2"]) == (first, first, first)
        assert isinstance(second, RemovedItem)
        assert len(orders) == 1
        assert orders.position is not None
        assert orders.last_error is None
        # Nothing more comes.
        assert list(orders.changes(timeout=0.05)) == []
    assert list(orders.changes()) == []
    # What was ready stays so.
    orders.ready()
    snapshot = client.read_state("strategy.sync", "order", page_size=1)
    assert sorted(item.key for item in snapshot.items) == ["o1", "o2"]
    client.close()
    assert threading.active_count() == threads
    with pytest.raises(ClosedError):
        client.state("strategy.sync", "order")
    with pytest.raises(ClosedError):
        client.read_state("strategy.sync", "order")
    assert list(orders.changes()) == []


def test_errors(client: SyncCourierClient, gateway: Gateway) -> None:
    call: Any = client.state
    with pytest.raises(InvalidInputError) as caught:
        call("strategy.sync", "orders").ready()
    assert [issue.path for issue in caught.value.issues] == ["entity"]
    with pytest.raises(InvalidInputError) as caught:
        client.read_state("strategy.sync", "order", where={"state.colour": "red"})
    assert [issue.path for issue in caught.value.issues] == ["where.state.colour"]
    with SyncCourierClient(gateway.url, token=lambda: gateway.token("ada", "user")) as other:
        with pytest.raises(ForbiddenError):
            other.state("strategy.sync", "order").__enter__()


def test_a_gateway_that_is_away() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with SyncCourierClient(address, token="t1", retry=FAST) as client:
        orders = client.state("strategy.s1", "order")
        with pytest.raises(CourierTimeoutError, match=r"0\.05 s"):
            orders.ready(timeout=0.05)
        assert orders.last_error is not None
        with pytest.raises(UnavailableError):
            client.read_state("strategy.s1", "order", timeout=0.1)
    with SyncCourierClient(address, token="t1", retry=FAST, give_up_after=0.05) as client:
        with pytest.raises(UnavailableError):
            client.state("strategy.s1", "order").ready()


def test_on_state_cannot_wait_for_its_own_thread(client: SyncCourierClient, caplog: pytest.LogCaptureFixture) -> None:
    states: list[SubscriptionState] = []

    def on_state(state: SubscriptionState) -> None:
        states.append(state)
        orders.close()

    orders = client.state("strategy.quiet", "order", on_state=on_state)
    orders.ready()
    assert states == [SubscriptionState.CONNECTING, SubscriptionState.CATCHING_UP, SubscriptionState.LIVE]
    assert "on_state must not wait" in caplog.text


def test_closing_the_client_ends_a_thread_that_waits(client: SyncCourierClient) -> None:
    orders = client.state("strategy.quiet", "order")
    orders.ready()
    given: list[list[Any]] = []
    waiting = threading.Thread(target=lambda: given.append(list(orders.changes())))
    waiting.start()
    began = time.monotonic()
    client.close()
    waiting.join(timeout=10)
    assert given == [[]]
    assert time.monotonic() - began < 5
