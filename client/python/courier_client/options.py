"""The keyword options that several public calls take. Each option is described here, once."""

from __future__ import annotations

import os
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Generic, Literal

from typing_extensions import TypedDict, TypeVar

from .retry import Backoff

if TYPE_CHECKING:
    from ._connection import SubscriptionState
    from .envelope import CourierGapData
    from .events import EventType

TypeT = TypeVar("TypeT", default="EventType")
"""The names of the event types of a contract."""


OnGap = Literal["continue", "fail"] | Callable[["CourierGapData"], Awaitable[object] | object]
"""What to do when events are missing: give the next ones, raise GapError, or call a function and give the next ones."""


class ClientOptions(TypedDict, total=False):
    """How a client reaches its gateway, and how long it tries. A time limit of None or `math.inf` is none."""

    timeout: float | None
    """Seconds that one call may take, all attempts together; 30 by default."""
    attempt_timeout: float | None
    """Seconds that the gateway may take to answer one attempt; 10 by default."""
    connect_timeout: float | None
    """Seconds that opening a connection may take; 5 by default."""
    retry: Backoff | None
    """The delays between attempts, and before a subscription connects again; `Backoff()` by default."""
    ssl_context: ssl.SSLContext | None
    """The certificates to trust; by default those of SSL_CERT_FILE or SSL_CERT_DIR, or of the public authorities."""
    ca_file: str | os.PathLike[str] | None
    """A file with the certificates of the authorities to trust, in PEM: instead of `ssl_context`."""
    proxy: str | None
    """The address of a proxy: `http`, `https`, `socks5` or `socks5h`. "" stands for none.

    By default HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY decide, which are read when the client is made.
    """


class EventOptions(TypedDict, total=False):
    """What may be said of an event besides its channel, type and data."""

    correlation_id: str | None
    """Names the piece of work that the event belongs to, across services.

    By default it is that of the event of `caused_by`, else the `causation_id`, else the event's own id.
    """
    causation_id: str | None
    """The `id` of the event that led to this one; by default that of `caused_by`."""
    user_id: str | None
    """The user on whose behalf the event happened."""
    timestamp: datetime | None
    """When the event happened, with a time zone; the time of publishing by default.

    The gateway keeps its milliseconds.
    """
    traceparent: str | None
    """The W3C trace context of the work that the event is part of."""
    idempotency_key: str | None
    """A publish that is repeated with the same key within 24 h is stored once. Made by the client by default.

    It is 1 to 128 printable ASCII characters without spaces.
    """


class HistoryOptions(TypedDict, Generic[TypeT], total=False):
    """Which page of the history to read."""

    types: TypeT | Sequence[TypeT] | None
    """Only events of these types; all types by default."""
    order: Literal["oldest", "newest"]
    """Which events come first; the oldest by default."""
    after: str | None
    """With the oldest first: a position. The page starts after it; at the oldest stored event by default."""
    before: str | None
    """With the newest first: a position. The page starts before it; at the newest event by default."""
    limit: int | None
    """Events in the page, 1 to 1000; 100 by default."""


class IterationOptions(TypedDict, Generic[TypeT], total=False):
    """Which events of the history to iterate over, oldest first."""

    types: TypeT | Sequence[TypeT] | None
    """Only events of these types; all types by default."""
    after: str | None
    """A position. The iteration starts after it; at the oldest stored event by default."""
    page_size: int | None
    """Events that are read at once, 1 to 1000; 100 by default."""
    timeout: float | None
    """Seconds that one page may take; the client's `timeout` by default."""
    on_gap: OnGap | None
    """What to do when events are missing; the `on_gap` of the client by default."""


Scalar = str | int | float | bool
"""What a field of a state can be compared with."""


class SelectionOptions(TypedDict, total=False):
    """Which things of an entity to watch or to read."""

    keys: str | Sequence[str] | None
    """Only the things with these keys, such as `o1`, or `s1/SPX` of two fields: see `entity_key`. None has a comma."""
    open: bool | None
    """Only what goes on, or only what does not, as the contract says it; both by default."""
    where: Mapping[str, Scalar | Sequence[Scalar]] | None
    """By field, such as `state.symbol`: the value that it has, or one of several, none with a comma.

    Fields of the outermost level that are texts, numbers or booleans. Decimals and times are texts, as on the wire.
    """


class WatchOptions(SelectionOptions, total=False):
    """Which things of an entity to watch, and how."""

    max_per_second: float | None
    """How often a change of one thing is told in a second at most, 0.1 to 100: then the latest. Each by default."""
    on_state: Callable[[SubscriptionState], object] | None
    """Called with every new `SubscriptionState`."""


class ReadOptions(SelectionOptions, total=False):
    """Which things of an entity to read, and how."""

    page_size: int | None
    """Items that are read at once, 1 to 1000; 1000 by default."""
    timeout: float | None
    """Seconds that all pages together may take; the client's `timeout` by default, and None for no limit."""
