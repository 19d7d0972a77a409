"""Iterating over the history page after page. No I/O happens here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Literal, TypeVar

from ._gateway import CLIENT_TIMEOUT
from .envelope import HistoryPage
from .errors import GapError, require_choice
from .options import HistoryOptions, TypeT

EventT = TypeVar("EventT")


class Pages(Generic[TypeT]):
    """How far an iteration over the history has come, page after page."""

    def __init__(
        self,
        *,
        types: TypeT | Sequence[TypeT] | None = None,
        after: str | None = None,
        page_size: int | None = None,
        on_gap: Literal["continue", "fail"] = "fail",
        timeout: float | None = CLIENT_TIMEOUT,
    ) -> None:
        """Takes `IterationOptions`. Raises InvalidInputError, naming `on_gap`."""
        require_choice("on_gap", on_gap, "continue", "fail")
        self._on_gap = on_gap
        self.timeout = timeout
        self.has_more = True
        self.next: HistoryOptions[TypeT] = {"types": types, "after": after, "limit": page_size}
        """The options that read the next page."""

    def events_of(self, page: HistoryPage[EventT]) -> tuple[EventT, ...]:
        """The events of the page that was read last. Raises GapError."""
        if page.gap is not None and self._on_gap == "fail":
            raise GapError(page.gap)
        self.has_more = page.has_more
        self.next["after"] = page.next
        return page.events
