"""The client for code without asyncio, such as scripts: publish, and read what was published before."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import httpx

from . import _incoming as incoming
from . import _outgoing as outgoing
from ._address import Address
from ._tokens import SyncTokens, source_of
from .envelope import Data, EventDraft, HistoryPage, Receipt
from .errors import ClosedError, CourierError, GapError, UnauthorizedError
from .events import AnyEvent
from .retry import Attempts, Backoff

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from typing_extensions import Self

logger = logging.getLogger("courier_client")


class SyncCourierClient:
    """As `CourierClient`, whose methods say what they take and raise; without subscriptions.

    May be used from several threads at once.
    """

    def __init__(
        self,
        base_url: str = "http://localhost:8766",
        service_name: str = "prophet",
        token: str | Callable[[], str] | None = None,
        *,
        timeout: float = 30.0,
        attempt_timeout: float = 10.0,
        connect_timeout: float = 5.0,
        retry: Backoff | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._address = Address(base_url)
        self._tokens = SyncTokens(source_of(token))
        self._timeout = timeout
        self._attempt_timeout = attempt_timeout
        self._connect_timeout = connect_timeout
        self._retry = retry or Backoff()
        self._http = httpx.Client(headers=outgoing.identity_headers(service_name), verify=ssl_context or True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def publish(
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
        """As `CourierClient.publish`."""
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
        return self.publish_event(draft, timeout=timeout)

    def publish_event(self, event: EventDraft[Any], *, timeout: float | None = None) -> Receipt:
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
            return incoming.receipt_of(self._call(what, request, timeout))
        except CourierError as error:
            error.idempotency_key = key
            raise

    def history(
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
        """As `CourierClient.history`."""
        url = self._address.history(
            outgoing.names("channels", channels),
            types=outgoing.optional_names("types", types),
            order=order,
            after=after,
            before=before,
            limit=limit,
        )
        request = self._http.build_request("GET", url)
        return incoming.page_of(self._call("history", request, timeout))

    def iterate_history(
        self,
        channels: str | Sequence[str],
        *,
        types: str | Sequence[str] | None = None,
        after: str | None = None,
        page_size: int | None = None,
        on_gap: Literal["continue", "fail"] = "fail",
    ) -> Iterator[AnyEvent]:
        """As `CourierClient.iterate_history`."""
        has_more = True
        while has_more:
            page = self.history(channels, types=types, after=after, limit=page_size)
            if page.gap is not None and on_gap == "fail":
                raise GapError(page.gap)
            yield from page.events
            after, has_more = page.next, page.has_more

    def _call(self, what: str, request: httpx.Request, timeout: float | None) -> Any:
        if self._http.is_closed:
            raise ClosedError("CLOSED", "the client was closed")
        attempts = Attempts(what, self._timeout if timeout is None else timeout, self._retry)
        renewed = False
        while True:
            try:
                token = self._tokens.get()
                try:
                    return self._attempt(request, token, attempts)
                except UnauthorizedError:
                    # Another token is worth one try; if it is refused too, no other will do.
                    if renewed or self._tokens.another_than(token) is None:
                        raise
                    renewed = True
            except CourierError as error:
                delay = attempts.delay_after(error)
                logger.info("%s; trying again in %.2f s", error, delay)
                time.sleep(delay)

    def _attempt(self, request: httpx.Request, token: str, attempts: Attempts) -> Any:
        request.headers["Authorization"] = f"Bearer {token}"
        if attempts.remaining == 0:
            raise attempts.out_of_time()
        wait = min(self._attempt_timeout, attempts.remaining)
        limits = httpx.Timeout(wait, connect=min(wait, self._connect_timeout))
        request.extensions["timeout"] = limits.as_dict()
        try:
            response = self._http.send(request)
        except httpx.RequestError as error:
            raise incoming.unreachable(self._address.base_url, error) from error
        return incoming.read_answer(response.status_code, response.headers, response.content)
