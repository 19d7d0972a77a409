"""What led to the events that are published: noted for the code that runs, and said of each event that it publishes.

It stands in a context variable: tasks, `asyncio.to_thread` and whatever else copies the context have it, each for
itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any

from ._arguments import of_type
from .envelope import Event, EventDraft


@dataclass(frozen=True)
class _Cause:
    causation_id: str
    correlation_id: str


_CAUSE: ContextVar[_Cause | None] = ContextVar("courier_cause", default=None)


def caused_by(event: Event[Any] | None) -> AbstractContextManager[None]:
    """Says which event leads to what is published inside. For async code too.

        async for event in subscription:
            with caused_by(event):
                await client.publish_event(...)

    Every event that is published or submitted inside, by any client or background publisher, and in the tasks that are
    made inside, has the `causation_id` and the `correlation_id` that follow from `event`: its id, and its own
    `correlation_id`. Where a publish gives one of the two itself, that one stays. Inside another `caused_by`, the inner
    one holds. A coroutine that is made inside has to be awaited inside. A thread has the cause where it gets the
    context, as those of `asyncio.to_thread` do: others run `contextvars.copy_context().run`.

    Args:
        event: One that was received. None says that nothing led to what is published inside.

    Raises:
        InvalidInputError: it is no event, such as an item of the state. It names `event`.
    """
    of_type("event", event, (Event, NoneType), "an event that was received, or None")
    return _noted(None if event is None else _Cause(event.id, event.metadata.correlation_id or event.id))


@contextmanager
def _noted(cause: _Cause | None) -> Iterator[None]:
    token = _CAUSE.set(cause)
    try:
        yield
    finally:
        # An async generator may be closed in another context than it began in: that one has no cause of this.
        with suppress(ValueError):
            _CAUSE.reset(token)


def with_cause(event: EventDraft[Any]) -> EventDraft[Any]:
    """The event with what led to it, as it is noted here and now, where it does not say that itself."""
    cause = _CAUSE.get()
    if cause is None:
        return event
    return replace(
        event,
        causation_id=cause.causation_id if event.causation_id is None else event.causation_id,
        correlation_id=cause.correlation_id if event.correlation_id is None else event.correlation_id,
    )
