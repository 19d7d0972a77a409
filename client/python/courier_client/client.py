"""The client for asyncio: publish, subscribe, read what was published before."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import anyio
import httpx

from . import _incoming as incoming
from . import _outgoing as outgoing
from ._address import Address
from ._line import Gateway
from ._tokens import Token, Tokens, source_of
from .envelope import Data, EventDraft, HistoryPage, Receipt
from .errors import ClosedError, CourierError, GapError, UnauthorizedError
from .events import AnyEvent
from .retry import Attempts, Backoff
from .subscription import OnGap, OnState, Subscription

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from typing_extensions import Self

    from .cursor import Cursor

logger = logging.getLogger("courier_client")

MAX_REQUESTS = 100
"""Requests at a time, as many as HTTPX keeps connections; what waits with HTTPX costs it more with each other."""


class CourierClient:
    """Speaks to one gateway. Make one and share it: it keeps connections.

    Everything that fails raises a CourierError, in a known time. To be used in one event loop.
    """

    def __init__(
        self,
        base_url: str = "http://localhost:8766",
        service_name: str = "prophet",
        token: Token | None = None,
        *,
        timeout: float = 30.0,
        attempt_timeout: float = 10.0,
        connect_timeout: float = 5.0,
        retry: Backoff | None = None,
        give_up_after: float | None = 300.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Opens no connection yet.

        Args:
            base_url: Where the gateway is: http, https, ws or wss, perhaps with a path.
            service_name: Who calls, for the gateway's figures. The rights are those of the token.
            token: A token, or a function (async or not) that gives one whenever another is needed.
                Without it, what COURIER_TOKEN says.
            timeout: Seconds that a call may take, all attempts together; that a subscription may
                take to reach the gateway for the first time.
            attempt_timeout: Seconds that the gateway may take to answer one attempt.
            connect_timeout: Seconds that opening a connection may take.
            retry: The delays between attempts, and before connecting again.
            give_up_after: Seconds that the gateway may be away before a subscription that had
                reached it ends with an error; None waits for ever.
            ssl_context: For certificates that are not those of the public authorities.

        Raises:
            InvalidInputError: naming `base_url` or `service_name`.
        """
        self._address = Address(base_url)
        self._headers = outgoing.identity_headers(service_name)
        self._tokens = Tokens(source_of(token), timeout)
        self._timeout = timeout
        self._retry = retry or Backoff()
        self._subscriptions: set[Subscription] = set()
        self._slots = asyncio.Semaphore(MAX_REQUESTS)
        self._gateway = Gateway(
            address=self._address,
            tokens=self._tokens,
            headers=self._headers,
            retry=self._retry,
            connect_timeout=connect_timeout,
            reach_within=timeout,
            give_up_after=give_up_after,
            ssl_context=ssl_context,
        )
        self._http = httpx.AsyncClient(
            headers=self._headers,
            timeout=httpx.Timeout(attempt_timeout, connect=connect_timeout),
            verify=ssl_context or True,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the subscriptions, and closes the connections."""
        for subscription in [*self._subscriptions]:
            await subscription.aclose()
        await self._http.aclose()

    async def publish(
        self,
        channel: str,
        event_type: str,
        data: Data,
        *,
        correlation_id: str | None = None,
        user_id: str | None = None,
        timestamp: datetime | None = None,
        traceparent: str | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
    ) -> Receipt:
        """Publishes an event. When this returns, it is stored.

        What may pass is tried again, always with one idempotency key, so that the event is stored
        once.

        Args:
            channel: Such as `backtest.b1`.
            event_type: Such as `backtest.progress`.
            data: A mapping or one of `courier_client.models`; at most 100 KiB as JSON.
            correlation_id: Ties together what belongs to one piece of work, across services.
            user_id: The user on whose behalf it happened.
            timestamp: When it happened, with a time zone; the time of publishing when absent.
            traceparent: W3C trace context of the work that the event is part of.
            idempotency_key: A publish repeated with the same key within 24 h is stored once.
            timeout: Seconds, instead of the client's.

        Raises:
            InvalidInputError, TooLargeError, UnauthorizedError, ForbiddenError: it was refused.
            UnavailableError: it could not be stored in time, and may be repeated with the
                `idempotency_key` of the error. RateLimitedError, UnreachableError and
                CourierTimeoutError say why.
        """
        draft = EventDraft(
            channel=channel,
            type=event_type,
            data=data,
            correlation_id=correlation_id,
            user_id=user_id,
            timestamp=timestamp,
            traceparent=traceparent,
            idempotency_key=idempotency_key,
        )
        return await self.publish_event(draft, timeout=timeout)

    async def publish_event(self, event: EventDraft[Any], *, timeout: float | None = None) -> Receipt:
        """As `publish`, for what `courier_client.events` makes."""
        key = event.idempotency_key or uuid.uuid4().hex
        body = outgoing.publish_body(event, key)
        request = self._http.build_request(
            "POST",
            self._address.publish,
            content=body,
            headers={"Content-Type": "application/json"},
        )
        try:
            what = f"publish of {event.type} on {event.channel}"
            return incoming.receipt_of(await self._call(what, request, timeout))
        except CourierError as error:
            error.idempotency_key = key
            raise

    async def history(
        self,
        channels: str | Sequence[str],
        *,
        types: str | Sequence[str] | None = None,
        order: Literal["oldest", "newest"] = "oldest",
        after: str | None = None,
        before: str | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> HistoryPage[AnyEvent]:
        """One page of what was published before.

        Args:
            channels: A channel or a pattern, or several.
            types: Only these event types.
            order: Which events come first.
            after: Oldest first: what comes after this position; from the oldest event that is kept
                when absent.
            before: Newest first: what comes before this position; from the last event when absent.
            limit: Events in the page, 1 to 1000; 100 when absent.
            timeout: Seconds, instead of the client's.
        """
        url = self._address.history(
            outgoing.names("channels", channels),
            types=outgoing.optional_names("types", types),
            order=order,
            after=after,
            before=before,
            limit=limit,
        )
        request = self._http.build_request("GET", url)
        return incoming.page_of(await self._call("history", request, timeout))

    async def iterate_history(
        self,
        channels: str | Sequence[str],
        *,
        types: str | Sequence[str] | None = None,
        after: str | None = None,
        page_size: int | None = None,
        on_gap: Literal["continue", "fail"] = "fail",
    ) -> AsyncIterator[AnyEvent]:
        """Everything that was published before, page after page, up to the present.

        Raises:
            GapError: events are missing, and `on_gap` is `fail`.
        """
        has_more = True
        while has_more:
            page = await self.history(channels, types=types, after=after, limit=page_size)
            if page.gap is not None and on_gap == "fail":
                raise GapError(page.gap)
            for event in page.events:
                yield event
            after, has_more = page.next, page.has_more

    def subscribe(
        self,
        channels: str | Sequence[str],
        *,
        on_gap: OnGap,
        types: str | Sequence[str] | None = None,
        from_: Literal["now", "earliest"] = "now",
        last_event_id: str | None = None,
        cursor: Cursor | None = None,
        on_state: OnState | None = None,
    ) -> Subscription:
        """Every later event that matches, once, in order; through lost connections.

            async with client.subscribe("backtest.*", on_gap="fail") as subscription:
                async for event in subscription:
                    ...

        Inside the `async with` it is established: what is published from then on arrives. Without
        it, it begins when the first event is asked for.

        Args:
            channels: A channel or a pattern (`*` is one segment, `**` one or more), or several.
            on_gap: What to do when events are missing, which is never kept silent: `continue` with
                the next ones, `fail` with a GapError, or call a function (async or not) with the
                `CourierGapData`, and go on.
            types: Only these event types.
            from_: Where to start without a position: `now`, or at the `earliest` event that is kept.
            last_event_id: Resume after this event.
            cursor: Keeps the position beyond the life of the process. An event is done when the
                next one is asked for; then its position is saved. `last_event_id` goes before it.
            on_state: Called with every new `SubscriptionState`.

        Raises:
            InvalidInputError: an argument is not as it must be. Other errors come when it is entered
                or asked for an event.
            UnauthorizedError: the token was refused, or does not grant this.
            UnavailableError: the gateway is away for too long.
            GapError: events are missing, and `on_gap` is `fail`.
        """
        if self._http.is_closed:
            raise ClosedError("CLOSED", "the client was closed")
        subscription = Subscription(
            self._gateway,
            self._subscriptions.discard,
            channels=outgoing.names("channels", channels),
            types=outgoing.optional_names("types", types),
            start=from_,
            last_event_id=last_event_id,
            on_gap=on_gap,
            cursor=cursor,
            on_state=on_state,
        )
        self._subscriptions.add(subscription)
        return subscription

    async def _call(self, what: str, request: httpx.Request, timeout: float | None) -> Any:
        """Sends until there is an answer, or none is to be had in time. Returns its JSON."""
        if self._http.is_closed:
            raise ClosedError("CLOSED", "the client was closed")
        attempts = Attempts(what, self._timeout if timeout is None else timeout, self._retry)
        with anyio.move_on_after(attempts.remaining):
            return await self._attempt_until_answered(request, attempts)
        raise attempts.out_of_time()

    async def _attempt_until_answered(self, request: httpx.Request, attempts: Attempts) -> Any:
        renewed = False
        while True:
            try:
                token = await self._tokens.get()
                try:
                    return await self._attempt(request, token)
                except UnauthorizedError:
                    # Another token is worth one try; if it is refused too, no other will do.
                    if renewed or await self._tokens.another_than(token) is None:
                        raise
                    renewed = True
            except CourierError as error:
                delay = attempts.delay_after(error)
                logger.info("%s; trying again in %.2f s", error, delay)
                await anyio.sleep(delay)

    async def _attempt(self, request: httpx.Request, token: str) -> Any:
        request.headers["Authorization"] = f"Bearer {token}"
        try:
            async with self._slots:
                response = await self._http.send(request)
        except httpx.RequestError as error:
            raise incoming.unreachable(self._address.base_url, error) from error
        return incoming.read_answer(response.status_code, response.headers, response.content)
