"""Reading the present state page after page. No I/O happens here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

from ._arguments import of_type
from ._filter import Channels
from ._gateway import CLIENT_TIMEOUT, Call, Gateway
from ._held import Held
from ._pages import AllPages
from ._selection import selection_of
from ._states_in import StatePage
from .items import StateItem, StateSnapshot
from .options import Scalar

PAGE_SIZE = 1000


class StatePages(AllPages):
    """How far reading the state has come."""

    def __init__(
        self,
        gateway: Gateway[Any],
        channels: Channels,
        entity: str,
        *,
        keys: str | Sequence[str] | None = None,
        open: bool | None = None,  # noqa: A002 (it is called so on the wire)
        where: Mapping[str, Scalar | Sequence[Scalar]] | None = None,
        page_size: int | None = None,
        timeout: float | None = CLIENT_TIMEOUT,
    ) -> None:
        """Takes `ReadOptions`. Raises InvalidInputError, whose `issues` name the argument."""
        of_type("page_size", page_size, (int, NoneType), "an integer")
        self._gateway = gateway
        self._selection = selection_of(channels, entity, keys=keys, open=open, where=where)
        self._page_size = PAGE_SIZE if page_size is None else page_size
        super().__init__(gateway, timeout)
        self._held: Held[StateItem[Any]] = Held()
        self._after: str | None = None
        self._position = ""
        self.has_more = True

    def next_call(self) -> Call[StatePage]:
        """Reads the next page."""
        return self._gateway.state_page(self._selection, self._page_size, self._after)

    def take(self, page: StatePage) -> None:
        if page.is_reset:
            self._held = Held()
        for item in page.items:
            self._held.apply(item)
        self._after, self._position, self.has_more = page.next, page.position, page.has_more

    @property
    def snapshot(self) -> StateSnapshot[StateItem[Any]]:
        """What all pages together say."""
        return StateSnapshot(tuple(self._held.items.values()), self._position)
