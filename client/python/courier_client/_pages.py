"""Reading page after page: the history, and what all calls that read every page have in common. No I/O happens here."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import NoneType
from typing import Any, Generic, TypeVar

from ._arguments import check_on_gap, of_type, seconds
from ._gateway import CLIENT_TIMEOUT, Gateway
from ._selection import argument_of
from .envelope import HistoryPage
from .errors import GapError, InvalidInputError, Issue
from .options import HistoryOptions, OnGap, TypeT

EventT = TypeVar("EventT")


class AllPages:
    """All pages of one call, which keep to its timeout together."""

    def __init__(self, gateway: Gateway[Any], timeout: float | None) -> None:
        """Raises InvalidInputError, naming `timeout`."""
        limit = gateway.timeout if timeout is CLIENT_TIMEOUT else seconds("timeout", timeout)
        self._deadline = time.monotonic() + limit

    @property
    def remaining(self) -> float | None:
        """Seconds that the next page may take; None for no limit."""
        return None if self._deadline == math.inf else max(0.0, self._deadline - time.monotonic())

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Names in a refusal the arguments of the call: the address has some by other names."""
        try:
            yield
        except InvalidInputError as refusal:
            refusal.issues = tuple(Issue(argument_of(issue.path), issue.message) for issue in refusal.issues)
            raise


class Pages(Generic[TypeT]):
    """How far an iteration over the history has come, page after page."""

    def __init__(
        self,
        gap_choice: OnGap,
        *,
        types: TypeT | Sequence[TypeT] | None = None,
        after: str | None = None,
        page_size: int | None = None,
        on_gap: OnGap | None = None,
        timeout: float | None = CLIENT_TIMEOUT,
    ) -> None:
        """Takes the `on_gap` of the client, and `IterationOptions`. Raises InvalidInputError, naming the option."""
        check_on_gap("fail" if on_gap is None else on_gap)
        of_type("page_size", page_size, (int, NoneType), "an integer")
        self._on_gap = gap_choice if on_gap is None else on_gap
        self.has_more = True
        self.timeout = timeout
        self.next: HistoryOptions[TypeT] = {"types": types, "after": after, "limit": page_size}
        """The options that read the next page."""

    def gap_reported(self, page: HistoryPage[Any]) -> Any:
        """Calls the function for a gap before the page, if there is one, and returns its result. Raises GapError."""
        if page.gap is None:
            return None
        if self._on_gap == "fail":
            raise GapError(page.gap)
        return self._on_gap(page.gap) if callable(self._on_gap) else None

    def events_of(self, page: HistoryPage[EventT]) -> tuple[EventT, ...]:
        """The events of the page that was read last."""
        self.has_more = page.has_more
        self.next["after"] = page.next
        return page.events
