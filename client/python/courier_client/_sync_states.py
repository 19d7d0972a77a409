"""What the client without asyncio has for the state, besides what it has for events."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar, Unpack

from ._arguments import check_keywords, public
from ._filter import Channels
from ._gateway import Call, Gateway, ResultT
from ._state_pages import StatePages
from ._tokens import TokenSource
from .errors import ClosedError
from .events import ReadStateNow, WatchStateNow
from .items import StateSnapshot
from .live_state import live_state
from .options import ReadOptions, WatchOptions
from .sync_live_state import LoopThread, SyncLiveState

if TYPE_CHECKING:
    from .retry import Attempts

WatchNowT = TypeVar("WatchNowT", default=WatchStateNow)
ReadNowT = TypeVar("ReadNowT", default=ReadStateNow)


class SyncStates(Generic[WatchNowT, ReadNowT]):
    """`state` and `read_state` of the client without asyncio."""

    _gateway: Gateway[Any]
    _source: TokenSource
    _give_up_after: float
    _closed: bool

    def _open_states(self) -> None:
        """Makes what belongs to this process."""
        self._loop_thread: LoopThread | None = None
        self._making_thread = threading.Lock()

    def _close_states(self, timeout: float) -> None:
        with self._making_thread:
            thread, self._loop_thread = self._loop_thread, None
        if thread is not None:
            thread.close(timeout)

    def _calling(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _attempt_until_answered(self, call: Call[ResultT], attempts: Attempts) -> ResultT:
        raise NotImplementedError

    @public
    def _state(self, channels: Channels, entity: str, **options: Unpack[WatchOptions]) -> SyncLiveState[Any]:
        """As `CourierClient.state`.

            with client.state("strategy.*", "order", open=True) as orders:
                orders.ready()
                for order in orders:
                    ...
                for change in orders.changes():
                    ...

        One thread keeps the connections of all such subscriptions of the client, until the client is closed.
        """
        check_keywords(f"{type(self).__name__}.state", options, WatchOptions)
        with self._making_thread:
            if self._closed:
                raise ClosedError("CLOSED", "the client was closed")
            thread = self._loop_thread = self._loop_thread or LoopThread(self._gateway, self._source)
        live = live_state(self._gateway, thread.connections, channels, entity, self._give_up_after, **options)
        return SyncLiveState(thread, live)

    @public
    def _read_state(self, channels: Channels, entity: str, **options: Unpack[ReadOptions]) -> StateSnapshot[Any]:
        """As `CourierClient.read_state`."""
        check_keywords(f"{type(self).__name__}.read_state", options, ReadOptions)
        pages = StatePages(self._gateway, channels, entity, **options)
        with self._calling(), pages.naming():
            while pages.has_more:
                call = pages.next_call()
                pages.take(self._attempt_until_answered(call, self._gateway.attempts(call, pages.remaining)))
        return pages.snapshot

    for _call in (_state, _read_state):
        _call.__qualname__ = f"SyncCourierClient.{_call.__name__}"

    if TYPE_CHECKING:
        state: WatchNowT
        """As `_state`, with the entities that the contract has."""
        read_state: ReadNowT
        """As `_read_state`, with the entities that the contract has."""

    else:
        state = _state
        read_state = _read_state
