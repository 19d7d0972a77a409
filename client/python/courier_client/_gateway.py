"""What a client knows of its gateway, and the calls that both clients make of it. No I/O happens here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

import httpx

from . import _incoming as incoming
from . import _outgoing as outgoing
from . import _refusals as refusals
from . import _states_in as states_in
from . import events
from ._address import Address
from ._arguments import of_type, seconds, shown
from ._filter import Channels
from ._incoming import TracePage
from ._outgoing import Outgoing
from ._proxy import proxy_for
from ._states_in import StatePage
from ._strangers import Strangers
from ._tls import trust
from .causes import with_cause
from .contract import Contract, ContractModule, EventT_co
from .envelope import EventDraft, HistoryPage, Receipt
from .errors import CourierError, invalid_argument
from .options import HistoryOptions
from .retry import Attempts, Backoff, Doubt, OneAttempt

if TYPE_CHECKING:
    import ssl

    from typing_extensions import Unpack

    from ._selection import Selection

ResultT = TypeVar("ResultT")

CLIENT_TIMEOUT: Any = object()
"""Stands for the `timeout` of the client, where a call has none of its own."""


@dataclass(frozen=True)
class Call(Generic[ResultT]):
    """One HTTP request, which may be sent several times, and how its answer is read."""

    name: str
    """Names the call in errors."""
    method: Literal["GET", "POST"]
    url: str
    read: Callable[[Any, Mapping[str, str]], ResultT]
    """Makes the result of the answer's JSON and headers. Raises UnexpectedAnswerError."""
    channels: tuple[str, ...] = ()
    """The channels that it publishes on."""
    body: bytes | None = None
    idempotency_key: str | None = None
    event: Outgoing | None = None
    """What it publishes, where that may go together with others."""
    events: Sequence[Outgoing] | None = None
    """What it publishes each by itself. They may become fewer until the call is sent."""

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.body is None else {"Content-Type": "application/json"}

    @property
    def content(self) -> bytes:
        """What is sent now: as long as `body`, of which the headers tell the length."""
        body = self.body or b""
        return body if self.events is None else outgoing.batch_body(self.events).ljust(len(body))

    def alone(self) -> Call[ResultT]:
        """The same call, which goes together with no others."""
        return replace(self, event=None)

    @contextmanager
    def adding_key(self) -> Iterator[None]:
        """Adds the idempotency key to the CourierErrors that are raised inside."""
        try:
            yield
        except CourierError as error:
            error.idempotency_key = self.idempotency_key
            raise


class Gateway(Generic[EventT_co]):
    """One gateway, as the constructor of a client describes it."""

    def __init__(
        self,
        base_url: str,
        service_name: str | None,
        contract: ContractModule[EventT_co, Any, Any, Any, Any] | None,
        *,
        timeout: float | None = 30.0,
        attempt_timeout: float | None = 10.0,
        connect_timeout: float | None = 5.0,
        retry: Backoff | None = None,
        ssl_context: ssl.SSLContext | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        proxy: str | None = None,
    ) -> None:
        """Takes `ClientOptions`. Raises InvalidInputError, naming the option that is wrong."""
        self.address = Address(base_url)
        # Without a module, the type of the events is the default: that of this package's own.
        module = cast("ContractModule[EventT_co, Any, Any, Any, Any]", events) if contract is None else contract
        if not isinstance(getattr(module, "CONTRACT", None), Contract):
            message = "contract must be a module that `courier contract export --format python` writes"
            raise invalid_argument(f"{message}, not {shown(contract)}", path="contract")
        self.contract: Contract[EventT_co, Any, Any, Any, Any] = module.CONTRACT
        # Packed, an answer of a few bytes could have any length.
        self.headers = {**outgoing.identity_headers(service_name, self.contract.hash), "Accept-Encoding": "identity"}
        self.timeout = seconds("timeout", timeout)
        self.attempt_timeout = seconds("attempt_timeout", attempt_timeout)
        self.connect_timeout = seconds("connect_timeout", connect_timeout)
        of_type("retry", retry, (Backoff, NoneType), "a Backoff")
        self.retry = retry or Backoff()
        self.proxy = proxy_for(self.address.base_url, proxy)
        needed = any(address.startswith("https:") for address in (self.address.base_url, self.proxy or ""))
        self.ssl_context = trust(ssl_context, ca_file, needed=needed)
        self.strangers = Strangers()

    @property
    def contract_hash(self) -> str:
        return self.contract.hash

    @property
    def http_proxy(self) -> httpx.Proxy | None:
        """The proxy as HTTPX takes it."""
        if self.proxy is None:
            return None
        return httpx.Proxy(self.proxy, ssl_context=self.ssl_context if self.proxy.startswith("https:") else None)

    @property
    def token_timeout(self) -> float:
        """Seconds that a function may take to return a token."""
        return min(self.timeout, self.attempt_timeout)

    def read_answer(self, call: Call[ResultT], response: httpx.Response, body: bytes) -> ResultT:
        """The result of the call. Raises the CourierError that the answer stands for."""
        status = response.status_code
        try:
            document = incoming.read_answer(status, response.headers, body, self.contract_hash)
        except CourierError as error:
            if status >= HTTPStatus.MULTIPLE_CHOICES:
                self.strangers.refused(error, status, opens=False)
            raise
        self.strangers.accept()
        return call.read(document, response.headers)

    def unreachable(self, error: Exception) -> CourierError:
        """The error of an attempt without an answer."""
        self.strangers.begin_anew()
        return refusals.unreachable(self.address.base_url, error)

    def outgoing(self, event: EventDraft[Any]) -> Outgoing:
        """The event as it is sent, with what led to it. Raises InvalidInputError or TooLargeError."""
        of_type("event", event, EventDraft, "an EventDraft")
        self.contract.check_channel(event.channel)
        return outgoing.outgoing(with_cause(event))

    def publish(self, event: Outgoing) -> Call[Receipt]:
        draft = event.draft
        return Call(
            f"publish of {draft.type} on {draft.channel}",
            "POST",
            self.address.publish,
            lambda document, _: incoming.receipt_of(document),
            (draft.channel,),
            event.body,
            event.key,
            event,
        )

    def publish_each(self, events: Sequence[Outgoing]) -> Call[list[Receipt | CourierError]]:
        """Publishes each event by itself. They must fit into one call, and may become fewer until it is sent."""
        return Call(
            f"publish of {len(events)} events",
            "POST",
            self.address.publish_each,
            lambda document, headers: incoming.outcomes_of(document, headers, self.contract_hash, len(events)),
            body=outgoing.batch_body(events),
            events=events,
        )

    def batch(self, events: Sequence[EventDraft[Any]]) -> list[Outgoing]:
        """Raises as `outgoing`."""
        of_type("events", events, Sequence, "a list of EventDraft")
        return [self.outgoing(event) for event in events]

    def publish_batch(self, batch: Sequence[Outgoing]) -> Call[list[Receipt]]:
        """Raises InvalidInputError or TooLargeError."""
        body = outgoing.batch_body(batch)
        return Call(
            f"publish of {len(batch)} events",
            "POST",
            self.address.publish_batch,
            lambda document, _: incoming.receipts_of(document),
            tuple({event.draft.channel: None for event in batch}),
            body,
            batch[0].key if len(batch) == 1 else None,
        )

    def history(self, channels: Channels, **options: Unpack[HistoryOptions[str]]) -> Call[HistoryPage[EventT_co]]:
        """Raises InvalidInputError, whose `issues` name `channels` or `types`."""
        url = self.address.history(channels, **options)
        return Call("history", "GET", url, lambda document, _: incoming.page_of(document, self.contract))

    def trace_page(self, name: str, limit: int | None, after: str | None) -> Call[TracePage[EventT_co]]:
        """`name` is the id of an event, or a correlation id. Raises InvalidInputError."""
        url = self.address.trace(name, limit, after)
        return Call("trace", "GET", url, lambda document, _: incoming.trace_page_of(document, self.contract))

    def state_page(self, selection: Selection, limit: int, after: str | None) -> Call[StatePage]:
        url = self.address.state(selection, limit, after)
        return Call("read_state", "GET", url, lambda document, _: states_in.state_page_of(document, self.contract))

    def attempts(self, call: Call[Any], timeout: float | None = CLIENT_TIMEOUT) -> Attempts:
        """The attempts at one call. Raises InvalidInputError, naming `timeout`."""
        limit = self.timeout if timeout is CLIENT_TIMEOUT else seconds("timeout", timeout)
        return Attempts(call.name, self.address.base_url, limit, self.retry, publishes=call.body is not None)

    def one_attempt(self, call: Call[Any], publishes: Sequence[Doubt]) -> OneAttempt:
        """One attempt at several publishes, of a caller that decides itself what follows."""
        return OneAttempt(call.name, self.address.base_url, self.timeout, self.retry, publishes)
