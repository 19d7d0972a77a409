"""A subscription to the state for code without asyncio. An event loop in a thread of its own keeps its connection."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._arguments import seconds
from ._connection import SubscriptionState
from ._loop import LoopConnections
from .errors import ClosedError, CourierError, error_of, invalid_argument
from .items import GenericItem, ItemT, RemovedItem
from .live_state import LiveState

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._gateway import Gateway
    from ._tokens import TokenSource

T = TypeVar("T")

CUT_OFF_SECONDS = 2.0
"""How much longer than asked for the end of the subscriptions and of the thread may take."""


class LoopThread:
    """The event loop that keeps the connections of one client's subscriptions. It begins with the first of them."""

    def __init__(self, gateway: Gateway[Any], source: TokenSource) -> None:
        self._gateway = gateway
        self._source = source
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._here: LoopConnections | None = None
        self._thread = threading.Thread(target=self._run, name="courier-client", daemon=True)
        self._thread.start()

    def connections(self) -> LoopConnections:
        """Those of the loop, in which it is called."""
        if self._here is None:
            self._here = LoopConnections(self._gateway, self._source, lambda: None)
        return self._here

    def call(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """The result of a coroutine, which is cancelled when this is interrupted. Raises TimeoutError.

        Raises ClosedError when the client was closed, and in a child process, which has no such thread; and
        InvalidInputError in the thread itself, as in `on_state`, where the result would never come.
        """
        if os.getpid() != self._pid or self._loop.is_closed():
            coroutine.close()
            raise _closed()
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise invalid_argument("on_state must not wait for the subscription that calls it")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(timeout)
        except FutureTimeoutError:
            if future.done():
                raise
            future.cancel()
            raise TimeoutError from None
        except asyncio.CancelledError:
            raise _closed() from None
        finally:
            future.cancel()

    def close(self, timeout: float) -> None:
        """Ends the subscriptions and the thread."""
        if self._here is not None:
            with suppress(ClosedError, TimeoutError):
                self.call(self._here.close(timeout), _limit(timeout + CUT_OFF_SECONDS))
        self._loop.call_soon_threadsafe(self._loop.stop)
        # A token function that blocks keeps the thread, which ends with the process at the latest.
        self._thread.join(CUT_OFF_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()


class SyncLiveState(Generic[ItemT]):
    """As `LiveState`, without asyncio: `for change in orders.changes()`. Also a context manager that closes it.

    For one thread at a time. It holds what its changes have left: `len(orders)`, `for item in orders`,
    `orders.get("o1")`.

    `SyncCourierClient.state` makes it, and describes its options and errors.
    """

    def __init__(self, thread: LoopThread, live: LiveState[ItemT]) -> None:
        self._thread = thread
        self._live = live

    def __enter__(self) -> Self:
        """Waits until the gateway has accepted the subscription."""
        self._thread.call(self._live.__aenter__())
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the subscription. An iteration ends."""
        with suppress(ClosedError):
            self._thread.call(self._live.aclose())

    def ready(self, timeout: float | None = None) -> None:
        """As `LiveState.ready`. Raises CourierTimeoutError after `timeout` seconds, and goes on when called again."""
        limit = seconds("timeout", timeout)
        try:
            self._thread.call(self._live.ready(), _limit(limit))
        except TimeoutError:
            hint = "Wait longer: the gateway may be away, or be making the state. See `last_error`."
            raise error_of("TIMEOUT", f"the state was not ready in {limit:g} s", hint=hint) from None

    def changes(self, timeout: float | None = None) -> Iterator[ItemT | GenericItem | RemovedItem]:
        """Iterates over the changes as they come. It ends when it was closed, or none came for `timeout` seconds."""
        limit = _limit(seconds("timeout", timeout))
        while self._live.state is not SubscriptionState.CLOSED:
            try:
                change = self._thread.call(self._change(), limit)
            except TimeoutError:
                return
            if change is None:
                return
            yield change

    async def _change(self) -> ItemT | GenericItem | RemovedItem | None:
        try:
            return await self._live.__anext__()
        except StopAsyncIteration:
            return None

    @property
    def items(self) -> Mapping[tuple[str, str], ItemT | GenericItem]:
        """As `LiveState.items`."""
        return self._live.items

    @property
    def is_ready(self) -> bool:
        """As `LiveState.is_ready`."""
        return self._live.is_ready

    @property
    def position(self) -> str | None:
        """As `LiveState.position`."""
        return self._live.position

    @property
    def state(self) -> SubscriptionState:
        """What the subscription is doing now."""
        return self._live.state

    @property
    def last_error(self) -> CourierError | None:
        """As `LiveState.last_error`."""
        return self._live.last_error

    def get(self, key: str, channel: str | None = None) -> ItemT | GenericItem | None:
        """As `LiveState.get`."""
        return self._live.get(key, channel)

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[ItemT | GenericItem]:
        return iter(self._live)


def _limit(limit: float) -> float | None:
    return None if limit == float("inf") else limit


def _closed() -> ClosedError:
    return ClosedError("CLOSED", "the client was closed")
