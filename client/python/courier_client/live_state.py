"""A subscription to the state: an iterator of changes, which holds the present state of each thing meanwhile.

A new connection resumes after the position of `state.ready`, or of a later change. Before `state.ready` of a connection
its items are in no order that a position could tell: after one that is lost then, the next one begins as it did.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import Unpack

from ._arguments import function, of_type
from ._connection import SubscriptionState
from ._filter import Channels
from ._held import Held
from ._selection import argument_of, selection_of
from ._states_in import StateMessage, state_message_of
from ._stream import OnState, Stream
from .errors import ClosedError, InvalidInputError, Issue
from .items import GenericItem, ItemT, RemovedItem, StateReady, StateReset
from .options import SelectionOptions

if TYPE_CHECKING:
    from ._gateway import Gateway
    from ._loop import LoopConnections
    from ._selection import Selection

_NAMED = re.compile(r"([a-z][\w.]*(?:\.\*)?): (.+)", re.DOTALL)


class LiveState(Stream[StateMessage, "ItemT | GenericItem | RemovedItem"], Generic[ItemT]):
    """What is, and an async iterator of what changes. Also an async context manager that closes it.

    It holds an item for each thing that was asked for and is there, as the changes that were given have left it:
    `len(orders)`, `for item in orders`, `orders.get("o1")`, `orders.items["strategy.s1", "o1"]`. Changes that nobody
    asks for are not held either: one consumer at a time iterates, or awaits `ready`.

    `CourierClient.state` makes it, and describes its options and errors.
    """

    def __init__(
        self,
        gateway: Gateway[Any],
        connections: Callable[[], LoopConnections],
        selection: Selection,
        *,
        max_per_second: float | None,
        on_state: OnState | None,
        give_up_after: float,
    ) -> None:
        """`connections` returns those of the running event loop."""
        self._gateway = gateway
        self._selection = selection
        self._max_per_second = max_per_second
        self._held: Held[ItemT] = Held()
        self._changes: deque[ItemT | GenericItem | RemovedItem] = deque()
        self._position: str | None = None
        self._is_current = False
        """Whether `state.ready` has come on the present connection."""
        self._is_ready = False
        self._iterator: asyncio.Task[Any] | None = None
        self._reads_until_ready = False
        """Whether somebody awaits `ready` and reads meanwhile."""
        self._settled = asyncio.Event()
        """Set while it is ready, and when it is closed."""
        super().__init__(gateway, connections, self._address, on_state=on_state, give_up_after=give_up_after)

    @property
    def items(self) -> Mapping[tuple[str, str], ItemT | GenericItem]:
        """The item of each thing by its channel and its key. It shows what is held at any time."""
        return self._held.items

    @property
    def is_ready(self) -> bool:
        """Whether all that was asked for is held. False at first, and while everything comes again after a reset."""
        return self._is_ready

    @property
    def position(self) -> str | None:
        """What is held is the state after all events up to here, at least. None before it was ready."""
        return self._position

    def get(self, key: str, channel: str | None = None) -> ItemT | GenericItem | None:
        """The item of the thing with this key; None where there is none.

        Raises InvalidInputError, naming `channel`, when no channel is given and several have the key.
        """
        return self._held.get(key, channel)

    def __len__(self) -> int:
        return len(self._held.items)

    def __iter__(self) -> Iterator[ItemT | GenericItem]:
        return iter([*self._held.items.values()])

    async def ready(self) -> None:
        """Waits until all that was asked for is held.

        Unless another task iterates, it reads what comes until then, which is held and not given as a change.

        Raises:
            ClosedError: it was closed, or is closed meanwhile. Otherwise what asking for a change raises.
        """
        while not self._is_ready:
            if self._state is SubscriptionState.CLOSED:
                raise ClosedError("CLOSED", "the subscription was closed")
            self._enter_loop()
            iterator = self._iterator
            if self._consumer is not None:
                await self._consumer_left.wait()
            elif iterator is not None and iterator is not asyncio.current_task() and not iterator.done():
                await self._settled_or(iterator)
            else:
                await self._read_until_ready()

    async def _read_until_ready(self) -> None:
        self._reads_until_ready = True
        try:
            async with self._consuming():
                while not self._is_ready:
                    self._fold(await self._receive())
        finally:
            self._reads_until_ready = False

    async def _settled_or(self, iterator: asyncio.Task[Any]) -> None:
        """Waits until it is ready or closed, or the task that iterates has ended."""
        settled = asyncio.ensure_future(self._settled.wait())
        try:
            await asyncio.wait({settled, iterator}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            settled.cancel()

    async def __anext__(self) -> ItemT | GenericItem | RemovedItem:
        self._iterator = asyncio.current_task()
        while self._reads_until_ready:
            await self._consumer_left.wait()
        return await super().__anext__()

    def _enter_loop(self) -> None:
        before = self._here
        super()._enter_loop()
        if before not in {None, self._here}:
            self._iterator = None
            self._reads_until_ready = False
            self._settled = asyncio.Event()
            if self._is_ready:
                self._settled.set()

    def _address(self) -> str:
        self._is_current = False
        if self._position is None or not self._is_ready:
            self._position = None
            self._held.begin()
        return self._gateway.address.watch(self._selection, self._max_per_second, self._position)

    def _read(self, text: str | bytes) -> StateMessage:
        return state_message_of(text, self._gateway.contract)

    async def _next(self) -> ItemT | GenericItem | RemovedItem:
        while not self._changes:
            self._changes.extend(self._fold(await self._receive()))
        return self._changes.popleft()

    def _fold(self, message: StateMessage) -> list[Any]:
        """Handles the pending message. Returns the changes that it makes of what is held."""
        self._pending = None
        if isinstance(message, StateReset):
            self._held.begin()
            self._position = None
            self._is_current = self._is_ready = False
            self._settled.clear()
            return []
        if isinstance(message, StateReady):
            self._position = message.data.position
            self._is_current = self._is_ready = True
            self._settled.set()
            self._set_state(SubscriptionState.LIVE)
            return self._held.complete(message.data.position)
        # What is told to be gone may have gone later than what comes next has changed.
        if self._is_current and not isinstance(message, RemovedItem):
            self._position = message.id
        return [message] if self._held.apply(message) else []

    def _explain(self, refusal: InvalidInputError) -> None:
        """Says which argument is wrong: the gateway's words begin with it."""
        named = _NAMED.fullmatch(refusal.message)
        if named is not None and not refusal.issues:
            parameter, problem = named.groups()
            refusal.issues = (Issue(argument_of(parameter), problem),)

    async def _finish(self) -> None:
        self._settled.set()


def live_state(
    gateway: Gateway[Any],
    connections: Callable[[], LoopConnections],
    channels: Channels,
    entity: str,
    give_up_after: float,
    *,
    max_per_second: float | None = None,
    on_state: OnState | None = None,
    **selection: Unpack[SelectionOptions],
) -> LiveState[Any]:
    """Makes a subscription with `WatchOptions`. Raises InvalidInputError, whose `issues` name the argument."""
    of_type("max_per_second", max_per_second, (int, float, NoneType), "a number")
    function("on_state", on_state)
    return LiveState(
        gateway,
        connections,
        selection_of(channels, entity, **selection),
        max_per_second=max_per_second,
        on_state=on_state,
        give_up_after=give_up_after,
    )
