"""The client for code without asyncio, such as scripts: publish, read the history, watch and read the state."""

from __future__ import annotations

import math
import socket
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Generic

import httpx
from typing_extensions import TypeVar, Unpack

from ._answers import body_of_sync
from ._arguments import check_keywords, check_on_gap, public, seconds
from ._filter import Channels
from ._fork import leave_to_parent, watch_forks
from ._gateway import CLIENT_TIMEOUT, Call, Gateway, ResultT
from ._pages import Pages
from ._sync_coalescer import SyncCoalescer
from ._sync_order import SyncChannelOrder
from ._sync_states import ReadNowT, SyncStates, WatchNowT
from ._tokens import SyncTokens, TokenSource, require_plain
from ._trace_pages import TracePages
from .contract import Channel, ContractModule
from .envelope import Data, Event, EventDraft, HistoryPage, Receipt, Trace
from .errors import ClosedError, CourierError, UnauthorizedError
from .events import AnyEvent, EventType, Publish
from .options import ClientOptions, EventOptions, HistoryOptions, IterationOptions, OnGap

if TYPE_CHECKING:
    from typing_extensions import Self

    from .retry import Attempts

CLOSE_SECONDS = 1.0
"""How long the threads whose calls were cut off may take to return."""

EventT = TypeVar("EventT", bound=Event[Any], default=AnyEvent)
TypeT = TypeVar("TypeT", bound=str, default=EventType)
PublishT = TypeVar("PublishT", default=Publish[Receipt])


class SyncCourierClient(SyncStates[WatchNowT, ReadNowT], Generic[EventT, TypeT, PublishT, WatchNowT, ReadNowT]):
    """`CourierClient` without asyncio, and without subscriptions to events. Several threads may share one.

    The methods take and raise what those of `CourierClient` take and raise.
    """

    def __init__(
        self,
        base_url: str = "http://localhost:8766",
        service_name: str | None = None,
        token: str | Callable[[], str] | None = None,
        *,
        contract: ContractModule[EventT, TypeT, Any, PublishT, Any, Any, Any, WatchNowT, ReadNowT] | None = None,
        on_gap: OnGap = "fail",
        give_up_after: float | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        """As `CourierClient`. The functions `token` and `on_gap` must not be async."""
        check_on_gap(on_gap)
        self._on_gap: OnGap = on_gap
        check_keywords(type(self).__name__, options, ClientOptions)
        self._gateway: Gateway[EventT] = Gateway(base_url, service_name, contract, **options)
        require_plain(token)
        self._source = TokenSource(token)
        self._give_up_after = seconds("give_up_after", give_up_after)
        self._closed = False
        self._open()
        watch_forks(self)

    def _open(self) -> None:
        """Makes what belongs to this process: connections and locks."""
        self._tokens = SyncTokens(self._source)
        self._http = httpx.Client(
            headers=self._gateway.headers,
            verify=self._gateway.ssl_context,
            proxy=self._gateway.http_proxy,
            trust_env=False,
        )
        self._open_states()
        self._publishes = SyncCoalescer(self._gateway, self._post)
        self._order = SyncChannelOrder()
        self._streams: weakref.WeakSet[Any] = weakref.WeakSet()
        self._closing = threading.Event()
        self._cut_off = False
        self._running = 0
        self._changed = threading.Condition()

    def after_fork(self) -> None:
        """Is called in a child process, which has connections of its own."""
        leave_to_parent(self._http, self._loop_thread)
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self, timeout: float | None = 5.0) -> None:
        """Waits for the running calls of other threads, and closes the connections.

        Calls that take longer than `timeout` seconds more raise ClosedError.
        """
        limit = seconds("timeout", timeout)
        self._closed = True
        self._closing.set()
        self._close_states(limit)
        if not self._wait_for_calls(limit):
            with self._changed:
                self._cut_off = True
                for stream in self._streams:
                    _cut_off(stream)
            self._wait_for_calls(CLOSE_SECONDS)
        self._http.close()

    def _wait_for_calls(self, timeout: float) -> bool:
        with self._changed:
            limit = None if timeout == math.inf else timeout
            return self._changed.wait_for(lambda: self._running == 0, limit)

    def set_token(self, token: str | Callable[[], str]) -> None:
        """As `CourierClient.set_token`."""
        require_plain(token)
        self._source.set(token)

    @public
    def _publish(
        self,
        channel: str | Channel,
        event_type: str,
        data: Data,
        *,
        timeout: float | None = CLIENT_TIMEOUT,
        **options: Unpack[EventOptions],
    ) -> Receipt:
        """As `CourierClient.publish`."""
        check_keywords(f"{type(self).__name__}.publish", options, EventOptions)
        draft = EventDraft(channel=str(channel), type=event_type, data=data, **options)
        return self.publish_event(draft, timeout=timeout)

    if TYPE_CHECKING:
        publish: PublishT
        """As `_publish`, with the channels and the data that the contract has for each event type."""

    else:
        publish = _publish

    def publish_event(self, event: EventDraft[Any], *, timeout: float | None = CLIENT_TIMEOUT) -> Receipt:
        """As `CourierClient.publish_event`."""
        return self._in_order(self._gateway.publish(self._gateway.outgoing(event)), timeout)

    def publish_batch(
        self, events: Sequence[EventDraft[Any]], *, timeout: float | None = CLIENT_TIMEOUT
    ) -> list[Receipt]:
        """As `CourierClient.publish_batch`."""
        return self._in_order(self._gateway.publish_batch(self._gateway.batch(events)), timeout)

    def history(
        self,
        channels: Channels,
        *,
        timeout: float | None = CLIENT_TIMEOUT,
        **options: Unpack[HistoryOptions[TypeT]],
    ) -> HistoryPage[EventT]:
        """As `CourierClient.history`."""
        check_keywords(f"{type(self).__name__}.history", options, HistoryOptions)
        call = self._gateway.history(channels, **options)
        with self._calling():
            return self._attempt_until_answered(call, self._gateway.attempts(call, timeout))

    def iterate_history(self, channels: Channels, **options: Unpack[IterationOptions[TypeT]]) -> Iterator[EventT]:
        """As `CourierClient.iterate_history`."""
        check_keywords(f"{type(self).__name__}.iterate_history", options, IterationOptions)
        return self._events_of(channels, Pages(self._on_gap, **options))

    def _events_of(self, channels: Channels, pages: Pages[TypeT]) -> Iterator[EventT]:
        while pages.has_more:
            page = self.history(channels, timeout=pages.timeout, **pages.next)
            pages.gap_reported(page)
            yield from pages.events_of(page)

    def trace(
        self,
        *,
        id: str | None = None,  # noqa: A002 (it is called so on the wire)
        correlation_id: str | None = None,
        page_size: int | None = None,
        timeout: float | None = CLIENT_TIMEOUT,
    ) -> Trace[EventT]:
        """As `CourierClient.trace`."""
        pages = TracePages(self._gateway, id=id, correlation_id=correlation_id, page_size=page_size, timeout=timeout)
        with self._calling(), pages.naming():
            while pages.has_more:
                call = pages.next_call()
                pages.take(self._attempt_until_answered(call, self._gateway.attempts(call, pages.remaining)))
        return pages.trace

    def _in_order(self, call: Call[ResultT], timeout: float | None) -> ResultT:
        """Sends a publish once it is its turn on its channels."""
        with call.adding_key(), self._calling():
            attempts = self._gateway.attempts(call, timeout)
            with self._order.publishing(call, attempts):
                return self._attempt_until_answered(call, attempts)

    def _opened(self, stream: Any) -> None:
        with self._changed:
            self._streams.add(stream)
            if self._cut_off:
                _cut_off(stream)

    @contextmanager
    def _calling(self) -> Iterator[None]:
        """Surrounds a call, for which `close` waits."""
        changed = self._changed
        with changed:
            if self._closed:
                raise ClosedError("CLOSED", "the client was closed")
            self._running += 1
        try:
            yield
        finally:
            with changed:
                self._running -= 1
                changed.notify_all()

    def _attempt_until_answered(self, call: Call[ResultT], attempts: Attempts) -> ResultT:
        """Makes attempts until the gateway answers, or the time is over. Returns the result of the call."""
        renewed = False
        while True:
            try:
                token = self._tokens.get()
                try:
                    attempts.begin()
                    if attempts.remaining == 0:
                        raise TimeoutError
                    if call.event is None:
                        return self._post(call, token, attempts.sending, attempts.remaining)
                    return self._publishes.attempt(call, call.event, token, attempts)
                except UnauthorizedError:
                    # One other token is tried. When the gateway refuses that too, it would refuse a third.
                    if renewed or self._tokens.another_than(token) is None:
                        raise
                    renewed = True
            except CourierError as error:
                if self._closing.is_set() and error.retryable:
                    raise attempts.closed() from error
                if self._closing.wait(attempts.delay_after(error)):
                    raise attempts.closed() from error
            except TimeoutError:
                raise attempts.out_of_time() from None

    def _post(self, call: Call[ResultT], token: str, sending: Callable[[], None], remaining: float) -> ResultT:
        """Makes one attempt at a call, in the seconds that remain. Right before it is sent, `sending` is called."""

        def trace(step: str, details: dict[str, Any]) -> None:
            if step.endswith(_OPENED):
                self._opened(details["return_value"])

        wait = min(self._gateway.attempt_timeout, remaining)
        limits = httpx.Timeout(_limit(wait), connect=_limit(min(wait, self._gateway.connect_timeout)))
        headers = {**call.headers, "Authorization": f"Bearer {token}"}
        request = self._http.build_request(
            call.method, call.url, content=call.body, headers=headers, timeout=limits, extensions={"trace": trace}
        )
        request.stream = _Body(call, sending)
        try:
            response = self._http.send(request, stream=True)
            body = body_of_sync(response)
        except httpx.RequestError as error:
            raise self._gateway.unreachable(error) from error
        except RuntimeError as error:
            # HTTPX says so that it was closed.
            if not self._cut_off:
                raise
            raise self._gateway.unreachable(error) from error
        return self._gateway.read_answer(call, response, body)


class _Body(httpx.SyncByteStream):
    """The body of a request, which HTTPX asks for when it has sent the headers: from then on the attempt is sent."""

    def __init__(self, call: Call[Any], sending: Callable[[], None]) -> None:
        self._call = call
        self._sending = sending

    def __iter__(self) -> Iterator[bytes]:
        self._sending()
        if content := self._call.content:
            yield content


_OPENED = ("connect_tcp.complete", "start_tls.complete")


def _cut_off(stream: Any) -> None:
    # A thread that waits for an answer notices no other end of its connection.
    with suppress(OSError):
        socket.socket.shutdown(stream.get_extra_info("socket"), socket.SHUT_RDWR)


def _limit(seconds: float) -> float | None:
    return None if seconds == math.inf else seconds
