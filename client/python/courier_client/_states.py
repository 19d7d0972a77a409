"""What the client for asyncio has for the state, besides what it has for events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar, Unpack

from ._arguments import check_keywords, public
from ._filter import Channels
from ._gateway import Gateway
from ._requests import send
from ._state_pages import StatePages
from .events import ReadState, WatchState
from .items import StateSnapshot
from .live_state import LiveState, live_state
from .options import ReadOptions, WatchOptions

if TYPE_CHECKING:
    from ._loop import LoopConnections

WatchT = TypeVar("WatchT", default=WatchState)
ReadT = TypeVar("ReadT", default=ReadState)


class States(Generic[WatchT, ReadT]):
    """`state` and `read_state` of the client for asyncio."""

    _gateway: Gateway[Any]
    _give_up_after: float

    def _here(self) -> LoopConnections:
        raise NotImplementedError

    def _require_open(self) -> None:
        raise NotImplementedError

    @public
    def _state(self, channels: Channels, entity: str, **options: Unpack[WatchOptions]) -> LiveState[Any]:
        """Subscribes to the state: what is, and from then on what changes, through lost connections.

            async with client.state("strategy.*", "order", open=True) as orders:
                await orders.ready()
                for order in orders:
                    ...
                async for change in orders:
                    ...

        The iterator gives an item for each thing that is, and then one for each change; a `RemovedItem` where a thing
        is gone, or no longer among what was asked for. What it has given is held: `orders.get("o1")`, `len(orders)`.
        After a lost connection it gives what has changed meanwhile. Where the gateway cannot tell that, what is held
        stays until everything has come again; what did not is removed then.

        Entering the `async with` waits as that of `subscribe`.

        Args:
            channels: A channel or a pattern (`*` is one segment, `**` one or more), or several.
            entity: Of the contract, such as `order`.
            **options: `keys`, `open`, `where`, `max_per_second`, `on_state`: see `WatchOptions`.

        Raises:
            InvalidInputError: an argument is invalid.
            ClosedError: the client was closed.

        Entering it and asking it for a change raise:
            InvalidInputError: the gateway refused an argument, which `issues` name: `entity`, `where.state.symbol`.
            UnauthorizedError, ForbiddenError: the token is missing or was refused, or does not grant this.
            UnavailableError: the gateway is away for longer than `give_up_after`.
        """
        check_keywords(f"{type(self).__name__}.state", options, WatchOptions)
        self._require_open()
        return live_state(self._gateway, self._here, channels, entity, self._give_up_after, **options)

    @public
    async def _read_state(self, channels: Channels, entity: str, **options: Unpack[ReadOptions]) -> StateSnapshot[Any]:
        """Reads the present state, all pages of it.

        Args:
            channels: A channel or a pattern, or several.
            entity: Of the contract, such as `order`.
            **options: `keys`, `open`, `where`, `page_size`, `timeout`: see `ReadOptions`.

        Raises:
            InvalidInputError, UnauthorizedError, ForbiddenError: the read was refused.
            UnreachableError, CourierTimeoutError: the gateway was not reached, or did not answer, in time.
            UnavailableError: the gateway has been making the state for the whole time.
        """
        check_keywords(f"{type(self).__name__}.read_state", options, ReadOptions)
        pages = StatePages(self._gateway, channels, entity, **options)
        with pages.naming():
            while pages.has_more:
                call = pages.next_call()
                attempts = self._gateway.attempts(call, pages.remaining)
                pages.take(await send(self._gateway, self._here(), call, attempts))
        return pages.snapshot

    for _call in (_state, _read_state):
        _call.__qualname__ = f"CourierClient.{_call.__name__}"

    if TYPE_CHECKING:
        state: WatchT
        """As `_state`, with the entities that the contract has."""
        read_state: ReadT
        """As `_read_state`, with the entities that the contract has."""

    else:
        state = _state
        read_state = _read_state
