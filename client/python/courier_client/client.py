"""The client for asyncio: publish, subscribe, read the history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal

import anyio
import httpx
from typing_extensions import TypeVar, Unpack

from . import _incoming as incoming
from ._connection import ConnectionOptions
from ._filter import Channels, filter_of
from ._gateway import Call, Gateway, ResultT
from ._pages import Pages
from ._tokens import Token, Tokens, source_of
from .contract import Channel, ContractModule
from .envelope import Data, Event, EventDraft, HistoryPage, Receipt
from .errors import ClosedError, CourierError, UnauthorizedError
from .events import AnyEvent, EventType, Publish, Submit
from .options import ClientOptions, EventOptions, HistoryOptions, IterationOptions
from .subscription import OnGap, OnState, Subscription

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from typing_extensions import Self

    from .cursor import Cursor
    from .retry import Attempts

MAX_REQUESTS = 100
"""Requests at a time: as many as HTTPX keeps connections. Requests that wait inside HTTPX slow each other down."""


EventT = TypeVar("EventT", bound=Event[Any], default=AnyEvent)
TypeT = TypeVar("TypeT", bound=str, default=EventType)
PublishT = TypeVar("PublishT", default="Publish[Coroutine[Any, Any, Receipt]]")
SubmitT = TypeVar("SubmitT", default=Submit)


class CourierClient(Generic[EventT, TypeT, PublishT, SubmitT]):
    """Speaks to one gateway, in one event loop. Make one and share it: it reuses connections.

    Every call that fails raises a CourierError within its `timeout`.
    """

    def __init__(
        self,
        base_url: str = "http://localhost:8766",
        service_name: str = "prophet",
        token: Token | None = None,
        *,
        contract: ContractModule[EventT, TypeT, PublishT, Any, SubmitT] | None = None,
        give_up_after: float | None = 300.0,
        **options: Unpack[ClientOptions],
    ) -> None:
        """Opens no connection yet.

        Args:
            base_url: The address of the gateway: http, https, ws or wss, perhaps with a path.
            service_name: Names the caller in the gateway's metrics. The token alone decides what it may do.
            token: A token, or a function (async or not) that returns one whenever another is needed.
                Without it, the client uses the value that COURIER_TOKEN has now.
            contract: The module of the gateway's contract, which `courier contract export --format python`
                writes; by default `courier_client.events`. Events are of its classes, and type checkers
                check what is published with it.
            give_up_after: Seconds that the gateway may be away before a subscription that had
                reached it ends with an error; None waits for ever.
            **options: `timeout`, `attempt_timeout` and `connect_timeout` in seconds, `retry`,
                `ssl_context`: see `ClientOptions`.

        Raises:
            InvalidInputError: naming `base_url`, `service_name` or `contract`.
        """
        self._gateway: Gateway[EventT] = Gateway(base_url, service_name, contract, **options)
        self._tokens = Tokens(source_of(token), self._gateway.timeout)
        self._connection_options = ConnectionOptions(self._gateway, self._tokens, give_up_after)
        self._subscriptions: set[Subscription[Any]] = set()
        self._slots = asyncio.Semaphore(MAX_REQUESTS)
        self._http = httpx.AsyncClient(
            headers=self._gateway.headers,
            timeout=httpx.Timeout(self._gateway.attempt_timeout, connect=self._gateway.connect_timeout),
            verify=self._gateway.ssl_context or True,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the subscriptions, then the connections."""
        for subscription in [*self._subscriptions]:
            await subscription.aclose()
        await self._http.aclose()

    async def _publish(
        self,
        channel: str | Channel,
        event_type: str,
        data: Data,
        *,
        timeout: float | None = None,
        **options: Unpack[EventOptions],
    ) -> Receipt:
        """Publishes an event. When this returns, the event is stored.

        The client repeats a publish that fails for a while, always with one idempotency key, so that
        the event is stored once.

        Args:
            channel: A name such as `backtest.b1`, or one that `courier_client.channels` makes.
            event_type: Such as `backtest.progress`.
            data: A mapping or one of `courier_client.models`; at most 100 KiB as JSON.
            timeout: Seconds, instead of the client's.
            **options: `correlation_id`, `user_id`, `timestamp`, `traceparent`, `idempotency_key`:
                see `EventOptions`.

        Raises:
            InvalidInputError, TooLargeError, UnauthorizedError, ForbiddenError: the event was refused.
            UnavailableError: the event could not be stored in time, and may be published again with
                the `idempotency_key` of the error. RateLimitedError, UnreachableError and
                CourierTimeoutError say why.
        """
        draft = EventDraft(channel=str(channel), type=event_type, data=data, **options)
        return await self.publish_event(draft, timeout=timeout)

    if TYPE_CHECKING:
        publish: PublishT
        """As `_publish`, with the channels and the data that the contract has for each event type."""

    else:
        publish = _publish

    async def publish_event(self, event: EventDraft[Any], *, timeout: float | None = None) -> Receipt:
        """Publishes a draft, which the functions of `courier_client.events` make. Otherwise as `publish`."""
        return await self._send(self._gateway.publish(event), timeout)

    async def history(
        self,
        channels: Channels,
        *,
        timeout: float | None = None,
        **options: Unpack[HistoryOptions[TypeT]],
    ) -> HistoryPage[EventT]:
        """Reads one page of the stored events.

        Args:
            channels: A channel or a pattern, or several.
            timeout: Seconds, instead of the client's.
            **options: `types`, `order`, `after`, `before`, `limit`: see `HistoryOptions`.

        Raises:
            InvalidInputError, UnauthorizedError, ForbiddenError: the read was refused.
            UnavailableError: the gateway did not answer in time.
        """
        return await self._send(self._gateway.history(channels, **options), timeout)

    def iterate_history(self, channels: Channels, **options: Unpack[IterationOptions[TypeT]]) -> AsyncIterator[EventT]:
        """Iterates over the stored events, oldest first, page after page, up to the present.

        Args:
            channels: A channel or a pattern, or several.
            **options: `types`, `after`, `page_size`, `on_gap`: see `IterationOptions`.

        Raises:
            GapError: events are missing, and `on_gap` is `fail`. Other errors are those of `history`.
        """
        return self._events_of(channels, Pages(**options))

    async def _events_of(self, channels: Channels, pages: Pages[TypeT]) -> AsyncIterator[EventT]:
        while pages.has_more:
            for event in pages.events_of(await self.history(channels, **pages.next)):
                yield event

    def subscribe(
        self,
        channels: Channels,
        *,
        on_gap: OnGap,
        types: TypeT | Sequence[TypeT] | None = None,
        from_: Literal["now", "earliest"] = "now",
        last_event_id: str | None = None,
        cursor: Cursor | None = None,
        on_state: OnState | None = None,
    ) -> Subscription[EventT]:
        """Subscribes to every later event that matches: each comes once, in order, through lost connections.

            async with client.subscribe("backtest.*", on_gap="fail") as subscription:
                async for event in subscription:
                    ...

        Entering the `async with` waits until the gateway has accepted the subscription: events that
        are published from then on arrive. Without it, the subscription starts when the first event
        is asked for.

        Args:
            channels: A channel or a pattern (`*` is one segment, `**` one or more), or several.
            on_gap: What to do when events are missing: `continue` with the next ones, `fail` with a
                GapError, or call a function (async or not) with the `CourierGapData`, then continue.
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
            UnauthorizedError: the token is missing or was refused, or does not grant this.
            UnavailableError: the gateway is away for too long.
            GapError: events are missing, and `on_gap` is `fail`.
        """
        self._assert_open()
        subscription = Subscription(
            self._connection_options,
            self._gateway.contract,
            filter_of(channels, types, from_),
            self._subscriptions.discard,
            last_event_id=last_event_id,
            on_gap=on_gap,
            cursor=cursor,
            on_state=on_state,
        )
        self._subscriptions.add(subscription)
        return subscription

    def _assert_open(self) -> None:
        if self._http.is_closed:
            raise ClosedError("CLOSED", "the client was closed")

    async def _send(self, call: Call[ResultT], timeout: float | None) -> ResultT:
        """Makes attempts until the gateway answers, or the time is over. Returns the result of the call."""
        with call.adding_key():
            self._assert_open()
            attempts = self._gateway.attempts(call, timeout)
            request = self._http.build_request(call.method, call.url, content=call.body, headers=call.headers)
            with anyio.move_on_after(attempts.remaining):
                return call.read(await self._attempt_until_answered(request, attempts))
            raise attempts.out_of_time()

    async def _attempt_until_answered(self, request: httpx.Request, attempts: Attempts) -> Any:
        renewed = False
        while True:
            try:
                token = await self._tokens.get()
                try:
                    return await self._attempt(request, token)
                except UnauthorizedError:
                    # One other token is tried. When the gateway refuses that too, it would refuse a third.
                    if renewed or await self._tokens.another_than(token) is None:
                        raise
                    renewed = True
            except CourierError as error:
                await anyio.sleep(attempts.delay_after(error))

    async def _attempt(self, request: httpx.Request, token: str) -> Any:
        request.headers["Authorization"] = f"Bearer {token}"
        try:
            async with self._slots:
                response = await self._http.send(request)
        except httpx.RequestError as error:
            raise incoming.unreachable(self._gateway.address.base_url, error) from error
        return incoming.read_answer(
            response.status_code, response.headers, response.content, self._gateway.contract_hash
        )
