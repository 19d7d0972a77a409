"""The client of Courier, a typed event gateway.

from courier_client import CourierClient, events

    async with CourierClient("http://localhost:8766") as client:
        await client.publish_event(events.backtest_progress(backtest_id="b1", progress=0.5))
"""

from . import events, models
from ._connection import SubscriptionState
from ._tokens import Token
from ._version import __version__
from .background import BackgroundPublisher
from .causes import caused_by
from .client import CourierClient
from .contract import Channel, Contract, ContractModule
from .cursor import BufferedCursor, Cursor, FileCursor
from .envelope import Event, EventDraft, GenericEvent, HistoryPage, Receipt, Trace, TraceStep
from .errors import (
    ClosedError,
    CourierError,
    CourierTimeoutError,
    CursorError,
    ForbiddenError,
    GapError,
    InvalidInputError,
    Issue,
    QueueFullError,
    RateLimitedError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
)
from .events import CONTRACT_HASH, AnyEvent, EventType, channels
from .items import GenericItem, RemovedItem, StateItem, StateSnapshot, entity_key
from .live_state import LiveState
from .options import ClientOptions, EventOptions, HistoryOptions, IterationOptions, ReadOptions, WatchOptions
from .retry import Backoff
from .subscription import Subscription
from .sync import SyncCourierClient
from .sync_live_state import SyncLiveState

__all__ = [
    "CONTRACT_HASH",
    "AnyEvent",
    "BackgroundPublisher",
    "Backoff",
    "BufferedCursor",
    "Channel",
    "ClientOptions",
    "ClosedError",
    "Contract",
    "ContractModule",
    "CourierClient",
    "CourierError",
    "CourierTimeoutError",
    "Cursor",
    "CursorError",
    "Event",
    "EventDraft",
    "EventOptions",
    "EventType",
    "FileCursor",
    "ForbiddenError",
    "GapError",
    "GenericEvent",
    "GenericItem",
    "HistoryOptions",
    "HistoryPage",
    "InvalidInputError",
    "Issue",
    "IterationOptions",
    "LiveState",
    "QueueFullError",
    "RateLimitedError",
    "ReadOptions",
    "Receipt",
    "RemovedItem",
    "StateItem",
    "StateSnapshot",
    "Subscription",
    "SubscriptionState",
    "SyncCourierClient",
    "SyncLiveState",
    "Token",
    "TooLargeError",
    "Trace",
    "TraceStep",
    "UnauthorizedError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "WatchOptions",
    "__version__",
    "caused_by",
    "channels",
    "entity_key",
    "events",
    "models",
]
