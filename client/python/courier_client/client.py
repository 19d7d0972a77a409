"""The client for asyncio: publish, subscribe, read the history, watch and read the state."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, Literal

from typing_extensions import TypeVar, Unpack

from ._arguments import check_keywords, check_on_gap, function, of_type, public, seconds, shown
from ._filter import Channels, filter_of
from ._fork import leave_to_parent, watch_forks
from ._gateway import CLIENT_TIMEOUT, Call, Gateway, ResultT
from ._loop import LoopConnections
from ._pages import Pages
from ._requests import send
from ._states import ReadT, States, WatchT
from ._stream import OnState
from ._tokens import Token, TokenSource
from ._trace_pages import TracePages
from .contract import Channel, ContractModule
from .envelope import Data, Event, EventDraft, HistoryPage, Receipt, Trace
from .errors import ClosedError, CourierError, invalid_argument, require_choice
from .events import AnyEvent, EventType, Publish, Submit
from .options import ClientOptions, EventOptions, HistoryOptions, IterationOptions, OnGap
from .subscription import Subscription

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from typing_extensions import Self

    from ._order import ChannelOrder
    from ._outgoing import Outgoing
    from .cursor import Cursor
    from .retry import Doubt

EventT = TypeVar("EventT", bound=Event[Any], default=AnyEvent)
TypeT = TypeVar("TypeT", bound=str, default=EventType)
PublishT = TypeVar("PublishT", default="Publish[Coroutine[Any, Any, Receipt]]")
SubmitT = TypeVar("SubmitT", default=Submit)


class CourierClient(States[WatchT, ReadT], Generic[EventT, TypeT, PublishT, SubmitT, WatchT, ReadT]):
    """Speaks to one gateway. Make one and share it: it reuses connections.

    Each event loop and each process that uses it has connections of its own, which are closed when the loop ends. Every
    call that fails raises a CourierError within its `timeout`.
    """

    def __init__(
        self,
        base_url: str = "http://localhost:8766",
        service_name: str | None = None,
        token: Token | None = None,
        *,
        contract: ContractModule[EventT, TypeT, PublishT, Any, SubmitT, WatchT, ReadT] | None = None,
        on_gap: OnGap = "fail",
        give_up_after: float | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        """Opens no connection yet.

        Args:
            base_url: The address of the gateway: http, https, ws or wss, perhaps with a path.
            service_name: Names the caller in the gateway's log. The token alone decides what it may do.
            token: A token, or a function (async or not) that returns one whenever another is needed.
                Without it, the client uses the value that COURIER_TOKEN has now.
            contract: The module of the gateway's contract, which `courier contract export --format python`
                writes; by default `courier_client.events`. Events are of its classes, and type checkers
                check what is published with it.
            on_gap: What happens when events are missing, where a subscription or an iteration does not choose for
                itself: see `subscribe`.
            give_up_after: Seconds that a subscription may be without the gateway, at the start too, before it ends
                with an error; None waits for ever.
            **options: `timeout`, `attempt_timeout` and `connect_timeout` in seconds, `retry`,
                `ssl_context`, `ca_file`, `proxy`: see `ClientOptions`.

        Raises:
            InvalidInputError: an option is wrong. It names the option.
        """
        check_keywords(type(self).__name__, options, ClientOptions)
        self._gateway: Gateway[EventT] = Gateway(base_url, service_name, contract, **options)
        self._source = TokenSource(token)
        check_on_gap(on_gap)
        self._on_gap: OnGap = on_gap
        self._give_up_after = seconds("give_up_after", give_up_after)
        self._loops: dict[asyncio.AbstractEventLoop, LoopConnections] = {}
        self._closed = False
        watch_forks(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    async def aclose(self, timeout: float | None = 5.0) -> None:
        """Ends the subscriptions, waits for the running calls, and closes the connections.

        All together takes `timeout` seconds, and up to one more to cut off what is left: a call raises ClosedError, and
        a cursor is not waited for. Calls of another event loop raise it with their next attempt.
        """
        limit = seconds("timeout", timeout)
        self._closed = True
        here = self._loops.get(asyncio.get_running_loop())
        if here is not None:
            await here.close(limit)

    close = aclose
    """The same: `aclose` is its name for `contextlib.aclosing`."""

    def set_token(self, token: Token) -> None:
        """Takes another token, or another function that returns tokens.

        The next call uses it. A subscription keeps its connection until the gateway ends that for the old token, and
        then resumes with the new one.

        Raises:
            InvalidInputError: naming `token`.
        """
        self._source.set(token)

    def outgoing(self, event: EventDraft[Any]) -> Outgoing:
        """For the background publishers of this client: the event as it is sent. Raises as `publish_event`."""
        return self._gateway.outgoing(event)

    def order(self) -> ChannelOrder:
        """For the background publishers of this client: the order of its channels in the running event loop."""
        return self._here().order

    async def publish_submitted(
        self, events: Sequence[Outgoing], doubts: Sequence[Doubt]
    ) -> Sequence[Receipt | CourierError]:
        """For the background publishers of this client, which keep the order themselves, and try again themselves.

        Publishes each event by itself, in one attempt. Raises the error of all of them. Each doubt is of one event.
        """
        gateway, here = self._gateway, self._here()
        if len(events) == 1:
            one = gateway.publish(events[0]).alone()
            return [await send(gateway, here, one, gateway.one_attempt(one, doubts))]
        call = gateway.publish_each(events)
        return await send(gateway, here, call, gateway.one_attempt(call, doubts))

    def after_fork(self) -> None:
        """Is called in a child process, which has connections of its own."""
        leave_to_parent(self._loops)
        self._loops = {}

    @public
    async def _publish(
        self,
        channel: str | Channel,
        event_type: str,
        data: Data,
        *,
        timeout: float | None = CLIENT_TIMEOUT,
        **options: Unpack[EventOptions],
    ) -> Receipt:
        """Publishes an event. When this returns, the event is stored.

        The client repeats a publish that fails for a while, always with one idempotency key, so that
        the event is stored once.

        Args:
            channel: A name such as `backtest.b1`, or one that `courier_client.channels` makes.
            event_type: Such as `backtest.progress`.
            data: A mapping or one of `courier_client.models`; at most 100 KiB as JSON.
            timeout: Seconds, instead of the client's; None for no limit.
            **options: `correlation_id`, `causation_id`, `user_id`, `timestamp`, `traceparent`, `idempotency_key`:
                see `EventOptions`.

        Raises:
            InvalidInputError, TooLargeError, UnauthorizedError, ForbiddenError: the event was refused.
            UnreachableError: no attempt was sent in time. Nothing was stored.
            CourierTimeoutError: an attempt was sent, and none was answered in time. The event may have been stored:
                publish it again with the `idempotency_key` of the error.
            UnavailableError, RateLimitedError: the gateway did not take the event in time.
            ClosedError: the client was closed.

        On one channel, events that a BackgroundPublisher of this client was given before are stored before.

        Publishes that are made while one of this client is on its way wait for it, for a second at most, and go
        together in one call: each has the outcome, the key and the time limit that it would have alone. On one channel,
        those of one event loop are stored in the order in which they were made: one that is repeated holds back the
        later ones, whose time goes on meanwhile. What was given up on its way, or has no answer for a second, may be
        stored later, or not at all.
        """
        check_keywords(f"{type(self).__name__}.publish", options, EventOptions)
        draft = EventDraft(channel=str(channel), type=event_type, data=data, **options)
        return await self.publish_event(draft, timeout=timeout)

    if TYPE_CHECKING:
        publish: PublishT
        """As `_publish`, with the channels and the data that the contract has for each event type."""

    else:
        publish = _publish

    async def publish_event(self, event: EventDraft[Any], *, timeout: float | None = CLIENT_TIMEOUT) -> Receipt:
        """Publishes a draft, which the functions of `courier_client.events` make. Otherwise as `publish`."""
        return await self._in_order(self._gateway.publish(self._gateway.outgoing(event)), timeout)

    async def publish_batch(
        self, events: Sequence[EventDraft[Any]], *, timeout: float | None = CLIENT_TIMEOUT
    ) -> list[Receipt]:
        """Publishes 1 to 500 drafts, all or none, in their order. Returns their receipts. Otherwise as `publish`.

        A batch is a call of its own. It is sent once the publishes and batches that were made before it on its channels
        are stored, refused or given up, or have no answer for a second; its time goes on meanwhile. A publish does
        not wait for a batch: await the batch first.

        To repeat a batch after a CourierTimeoutError, give each draft an `idempotency_key` of its own.

        Raises:
            TooLargeError: the drafts are more than 960 KiB as JSON. Otherwise what `publish` raises; the gateway's
                `issues` begin with the index of a draft.
        """
        return await self._in_order(self._gateway.publish_batch(self._gateway.batch(events)), timeout)

    async def history(
        self,
        channels: Channels,
        *,
        timeout: float | None = CLIENT_TIMEOUT,
        **options: Unpack[HistoryOptions[TypeT]],
    ) -> HistoryPage[EventT]:
        """Reads one page of the stored events.

        Args:
            channels: A channel or a pattern, or several.
            timeout: Seconds, instead of the client's; None for no limit.
            **options: `types`, `order`, `after`, `before`, `limit`: see `HistoryOptions`.

        Raises:
            InvalidInputError, UnauthorizedError, ForbiddenError: the read was refused.
            UnreachableError, CourierTimeoutError: the gateway was not reached, or did not answer, in time.
        """
        check_keywords(f"{type(self).__name__}.history", options, HistoryOptions)
        call = self._gateway.history(channels, **options)
        return await send(self._gateway, self._here(), call, self._gateway.attempts(call, timeout))

    def iterate_history(self, channels: Channels, **options: Unpack[IterationOptions[TypeT]]) -> AsyncIterator[EventT]:
        """Iterates over the stored events, oldest first, page after page, up to the present.

        To publish because of one of them, do so inside `caused_by(event)`.

        Args:
            channels: A channel or a pattern, or several.
            **options: `types`, `after`, `page_size`, `on_gap`, `timeout`: see `IterationOptions`.

        Raises:
            GapError: events are missing, and `on_gap` is `fail`. Other errors are those of `history`.
        """
        check_keywords(f"{type(self).__name__}.iterate_history", options, IterationOptions)
        return self._events_of(channels, Pages(self._on_gap, **options))

    async def _events_of(self, channels: Channels, pages: Pages[TypeT]) -> AsyncIterator[EventT]:
        while pages.has_more:
            page = await self.history(channels, timeout=pages.timeout, **pages.next)
            reported = pages.gap_reported(page)
            if inspect.isawaitable(reported):
                await reported
            for event in pages.events_of(page):
                yield event

    async def trace(
        self,
        *,
        id: str | None = None,  # noqa: A002 (it is called so on the wire)
        correlation_id: str | None = None,
        page_size: int | None = None,
        timeout: float | None = CLIENT_TIMEOUT,
    ) -> Trace[EventT]:
        """Reads a piece of work, all pages of it: what belongs to it, what that has caused, and what led to it.

        Args:
            id: That of any of its events; or else
            correlation_id: that of the piece of work. The id of an event stands for the piece of work of that event.
            page_size: Steps that are read at once, 1 to 1000; 1000 by default.
            timeout: Seconds that all pages together may take; the client's `timeout` by default, and None for no limit.

        Raises:
            InvalidInputError, UnauthorizedError: the read was refused. Its `code` is NOT_FOUND where the log has no
                such event any more, and none that came of it, or none that the caller may read.
            UnreachableError, CourierTimeoutError: the gateway was not reached, or did not answer, in time.
        """
        pages = TracePages(self._gateway, id=id, correlation_id=correlation_id, page_size=page_size, timeout=timeout)
        with pages.naming():
            while pages.has_more:
                call = pages.next_call()
                attempts = self._gateway.attempts(call, pages.remaining)
                pages.take(await send(self._gateway, self._here(), call, attempts))
        return pages.trace

    def subscribe(
        self,
        channels: Channels,
        *,
        on_gap: OnGap | None = None,
        types: TypeT | Sequence[TypeT] | None = None,
        from_: Literal["now", "earliest"] = "now",
        last_event_id: str | None = None,
        cursor: Cursor | None = None,
        on_state: OnState | None = None,
    ) -> Subscription[EventT]:
        """Subscribes to every later event that matches: each comes once, in order, through lost connections.

            async with client.subscribe("backtest.*") as subscription:
                async for event in subscription:
                    with caused_by(event):
                        ...

        What is published inside `caused_by` says that the event led to it.

        Entering the `async with` waits until the gateway has accepted the subscription: events that
        are published from then on arrive. It waits as long as the subscription itself does for the gateway, see
        `give_up_after` of the client; put it into `asyncio.timeout` to wait less. Without the `async with`, the
        subscription starts when the first event is asked for.

        Args:
            channels: A channel or a pattern (`*` is one segment, `**` one or more), or several.
            on_gap: What to do when events are missing: `fail` with a GapError, `continue` with the next ones,
                or call a function (async or not) with the `CourierGapData`, then continue. By default the
                `on_gap` of the client, which is `fail` by default.
            types: Only events of these types; all types by default.
            from_: Where to start without a position: `now`, or at the `earliest` stored event.
            last_event_id: A position. The subscription starts after it, and does not ask the cursor.
            cursor: Stores how far the consumer has come, so that another process resumes there. The
                position of an event is saved when the next event is asked for.
            on_state: Called with every new `SubscriptionState`.

        Raises:
            InvalidInputError: an argument is invalid.
            ClosedError: the client was closed.

        Entering the subscription and asking it for an event raise:
            InvalidInputError: the gateway refused an argument.
            UnauthorizedError, ForbiddenError: the token is missing or was refused, or does not grant this.
            UnavailableError: the gateway is away for longer than `give_up_after`.
            GapError: events are missing, and `on_gap` is `fail`.
        """
        self._require_open()
        require_choice("from_", from_, "now", "earliest")
        of_type("last_event_id", last_event_id, (str, NoneType), "a position")
        function("on_state", on_state)
        if cursor is not None and not (hasattr(cursor, "load") and hasattr(cursor, "save")):
            raise invalid_argument(f"cursor must have load() and save(position), not {shown(cursor)}", path="cursor")
        return Subscription(
            self._gateway,
            self._here,
            filter_of(channels, types, from_),
            last_event_id=last_event_id,
            on_gap=self._on_gap if on_gap is None else on_gap,
            cursor=cursor,
            on_state=on_state,
            give_up_after=self._give_up_after,
        )

    def _here(self) -> LoopConnections:
        """The connections in the running event loop. Raises ClosedError."""
        self._require_open()
        loop = asyncio.get_running_loop()
        here = self._loops.get(loop)
        if here is None:
            # A loop that was not ended in order has left its connections. Other threads may add theirs meanwhile.
            for other in [*self._loops]:
                if other.is_closed():
                    _forget(self._loops, other)
            here = self._loops[loop] = LoopConnections(self._gateway, self._source, lambda: _forget(self._loops, loop))
        return here

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError("CLOSED", "the client was closed")

    async def _in_order(self, call: Call[ResultT], timeout: float | None) -> ResultT:
        """Sends a publish once it is its turn on its channels."""
        here = self._here()
        with call.adding_key():
            attempts = self._gateway.attempts(call, timeout)
            with here.order.publishing(call, attempts) as earlier:
                return await send(self._gateway, here, call, attempts, earlier)


def _forget(loops: dict[asyncio.AbstractEventLoop, LoopConnections], loop: asyncio.AbstractEventLoop) -> None:
    loops.pop(loop, None)
