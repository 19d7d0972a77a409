"""The client for code without asyncio, such as scripts: publish, read the history."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic

import httpx
from typing_extensions import TypeVar, Unpack

from . import _incoming as incoming
from ._filter import Channels
from ._gateway import Call, Gateway, ResultT
from ._pages import Pages
from ._tokens import SyncTokens, source_of
from .contract import Channel, ContractModule
from .envelope import Data, Event, EventDraft, HistoryPage, Receipt
from .errors import ClosedError, CourierError, UnauthorizedError
from .events import AnyEvent, EventType, Publish
from .options import ClientOptions, EventOptions, HistoryOptions, IterationOptions

if TYPE_CHECKING:
    from typing_extensions import Self

    from .retry import Attempts


EventT = TypeVar("EventT", bound=Event[Any], default=AnyEvent)
TypeT = TypeVar("TypeT", bound=str, default=EventType)
PublishT = TypeVar("PublishT", default=Publish[Receipt])


class SyncCourierClient(Generic[EventT, TypeT, PublishT]):
    """`CourierClient` without asyncio and without subscriptions. Several threads may share one.

    The methods take and raise what those of `CourierClient` take and raise.
    """

    def __init__(
        self,
        base_url: str = "http://localhost:8766",
        service_name: str = "prophet",
        token: str | Callable[[], str] | None = None,
        *,
        contract: ContractModule[EventT, TypeT, Any, PublishT, Any] | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        """As `CourierClient`. A function that returns tokens must not be async."""
        self._gateway: Gateway[EventT] = Gateway(base_url, service_name, contract, **options)
        self._tokens = SyncTokens(source_of(token))
        self._http = httpx.Client(headers=self._gateway.headers, verify=self._gateway.ssl_context or True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def _publish(
        self,
        channel: str | Channel,
        event_type: str,
        data: Data,
        *,
        timeout: float | None = None,
        **options: Unpack[EventOptions],
    ) -> Receipt:
        """As `CourierClient.publish`."""
        draft = EventDraft(channel=str(channel), type=event_type, data=data, **options)
        return self.publish_event(draft, timeout=timeout)

    if TYPE_CHECKING:
        publish: PublishT
        """As `_publish`, with the channels and the data that the contract has for each event type."""

    else:
        publish = _publish

    def publish_event(self, event: EventDraft[Any], *, timeout: float | None = None) -> Receipt:
        """As `CourierClient.publish_event`."""
        return self._send(self._gateway.publish(event), timeout)

    def history(
        self,
        channels: Channels,
        *,
        timeout: float | None = None,
        **options: Unpack[HistoryOptions[TypeT]],
    ) -> HistoryPage[EventT]:
        """As `CourierClient.history`."""
        return self._send(self._gateway.history(channels, **options), timeout)

    def iterate_history(self, channels: Channels, **options: Unpack[IterationOptions[TypeT]]) -> Iterator[EventT]:
        """As `CourierClient.iterate_history`."""
        return self._events_of(channels, Pages(**options))

    def _events_of(self, channels: Channels, pages: Pages[TypeT]) -> Iterator[EventT]:
        while pages.has_more:
            yield from pages.events_of(self.history(channels, **pages.next))

    def _send(self, call: Call[ResultT], timeout: float | None) -> ResultT:
        """Makes attempts until the gateway answers, or the time is over. Returns the result of the call."""
        with call.adding_key():
            if self._http.is_closed:
                raise ClosedError("CLOSED", "the client was closed")
            attempts = self._gateway.attempts(call, timeout)
            request = self._http.build_request(call.method, call.url, content=call.body, headers=call.headers)
            return call.read(self._attempt_until_answered(request, attempts))

    def _attempt_until_answered(self, request: httpx.Request, attempts: Attempts) -> Any:
        renewed = False
        while True:
            try:
                token = self._tokens.get()
                try:
                    return self._attempt(request, token, attempts)
                except UnauthorizedError:
                    # One other token is tried. When the gateway refuses that too, it would refuse a third.
                    if renewed or self._tokens.another_than(token) is None:
                        raise
                    renewed = True
            except CourierError as error:
                time.sleep(attempts.delay_after(error))

    def _attempt(self, request: httpx.Request, token: str, attempts: Attempts) -> Any:
        request.headers["Authorization"] = f"Bearer {token}"
        if attempts.remaining == 0:
            raise attempts.out_of_time()
        wait = min(self._gateway.attempt_timeout, attempts.remaining)
        limits = httpx.Timeout(wait, connect=min(wait, self._gateway.connect_timeout))
        request.extensions["timeout"] = limits.as_dict()
        try:
            response = self._http.send(request)
        except httpx.RequestError as error:
            raise incoming.unreachable(self._gateway.address.base_url, error) from error
        return incoming.read_answer(
            response.status_code, response.headers, response.content, self._gateway.contract_hash
        )
