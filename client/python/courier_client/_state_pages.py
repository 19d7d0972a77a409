"""Reading the present state page after page. No I/O happens here."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import NoneType
from typing import Any

from ._arguments import of_type, seconds
from ._filter import Channels
from ._gateway import CLIENT_TIMEOUT, Call, Gateway
from ._held import Held
from ._selection import argument_of, selection_of
from ._states_in import StatePage
from .errors import InvalidInputError, Issue
from .items import StateItem, StateSnapshot
from .options import Scalar

PAGE_SIZE = 1000


class StatePages:
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
        limit = gateway.timeout if timeout is CLIENT_TIMEOUT else seconds("timeout", timeout)
        self._deadline = time.monotonic() + limit
        self._held: Held[StateItem[Any]] = Held()
        self._after: str | None = None
        self._position = ""
        self.has_more = True

    @property
    def remaining(self) -> float | None:
        """Seconds that the next page may take; None for no limit."""
        return None if self._deadline == math.inf else max(0.0, self._deadline - time.monotonic())

    def next_call(self) -> Call[StatePage]:
        """Reads the next page."""
        return self._gateway.state_page(self._selection, self._page_size, self._after)

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Names in a refusal the arguments of the call: the address has some by other names."""
        try:
            yield
        except InvalidInputError as refusal:
            refusal.issues = tuple(Issue(argument_of(issue.path), issue.message) for issue in refusal.issues)
            raise

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
