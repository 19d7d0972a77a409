"""Reading a piece of work page after page. No I/O happens here."""

from __future__ import annotations

import re
from dataclasses import replace
from types import NoneType
from typing import Any, Generic, TypeVar

from ._arguments import of_type
from ._gateway import Call, Gateway
from ._incoming import TracePage
from ._pages import AllPages
from .envelope import Trace
from .errors import invalid_argument

_POSITION = re.compile("[a-z0-9]{1,32}-(0|[1-9][0-9]{0,15})")

EventT = TypeVar("EventT")


class TracePages(AllPages, Generic[EventT]):
    """How far reading a piece of work has come."""

    def __init__(
        self,
        gateway: Gateway[EventT],
        *,
        id: str | None,  # noqa: A002 (it is called so on the wire)
        correlation_id: str | None,
        page_size: int | None,
        timeout: float | None,
    ) -> None:
        """Raises InvalidInputError, whose `issues` name the argument."""
        of_type("id", id, (str, NoneType), "the id of an event")
        of_type("correlation_id", correlation_id, (str, NoneType), "a str")
        of_type("page_size", page_size, (int, NoneType), "an integer")
        name = id if correlation_id is None else correlation_id
        if name is None or (id is not None and correlation_id is not None):
            raise invalid_argument("give an id or a correlation_id, and not both", path="id")
        if id is not None and _POSITION.fullmatch(id) is None:
            # In an address, the gateway takes anything else for a correlation id.
            raise invalid_argument("id must be that of an event that was received", path="id")
        self._gateway = gateway
        self._name = name
        self._page_size = page_size
        super().__init__(gateway, timeout)
        self._pages: list[TracePage[Any]] = []
        self._after: str | None = None
        self.has_more = True

    def next_call(self) -> Call[TracePage[EventT]]:
        """Reads the next page."""
        return self._gateway.trace_page(self._name, self._page_size, self._after)

    def take(self, page: TracePage[EventT]) -> None:
        if self._pages and page.trace.correlation_id != self._pages[0].trace.correlation_id:
            # The log no longer has the event that said it: the rest is of another piece of work, which is read anew.
            self._pages, self._after = [], None
            return
        self._pages.append(page)
        self._after, self.has_more = page.next, page.has_more

    @property
    def trace(self) -> Trace[EventT]:
        """What all pages together say."""
        traces = [page.trace for page in self._pages]
        steps = tuple(step for trace in traces for step in trace.steps)
        return replace(traces[-1], steps=steps, is_partial=any(trace.is_partial for trace in traces))
