"""What a client knows of its gateway, and the calls that both clients make of it. No I/O happens here."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

from . import _incoming as incoming
from . import _outgoing as outgoing
from . import events
from ._address import Address
from ._filter import Channels
from .contract import Contract, ContractModule, EventT_co
from .envelope import EventDraft, HistoryPage, Receipt
from .errors import CourierError, invalid_argument
from .options import HistoryOptions
from .retry import Attempts, Backoff

if TYPE_CHECKING:
    import ssl

    from typing_extensions import Unpack

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Call(Generic[ResultT]):
    """One HTTP request, which may be sent several times, and how its answer is read."""

    name: str
    """Names the call in errors."""
    method: Literal["GET", "POST"]
    url: str
    read: Callable[[Any], ResultT]
    """Makes the result of the answer's JSON. Raises UnexpectedAnswerError."""
    body: bytes | None = None
    idempotency_key: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.body is None else {"Content-Type": "application/json"}

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
        service_name: str,
        contract: ContractModule[EventT_co, Any, Any, Any, Any] | None,
        *,
        timeout: float = 30.0,
        attempt_timeout: float = 10.0,
        connect_timeout: float = 5.0,
        retry: Backoff | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Takes `ClientOptions`. Raises InvalidInputError, naming `base_url`, `service_name` or `contract`."""
        self.address = Address(base_url)
        # Without a module, the type of the events is the default: that of this package's own.
        module = cast("ContractModule[EventT_co, Any, Any, Any, Any]", events) if contract is None else contract
        if not isinstance(getattr(module, "CONTRACT", None), Contract):
            message = "contract must be a module that `courier contract export --format python` writes"
            raise invalid_argument(f"{message}, not {contract!r}", path="contract")
        self.contract: Contract[EventT_co, Any, Any, Any, Any] = module.CONTRACT
        self.headers = outgoing.identity_headers(service_name, self.contract.hash)
        self.timeout = timeout
        self.attempt_timeout = attempt_timeout
        self.connect_timeout = connect_timeout
        self.retry = retry or Backoff()
        self.ssl_context = ssl_context

    @property
    def contract_hash(self) -> str:
        return self.contract.hash

    def publish(self, event: EventDraft[Any]) -> Call[Receipt]:
        """Raises InvalidInputError or TooLargeError."""
        self.contract.check_channel(event.channel)
        key = event.idempotency_key or uuid.uuid4().hex
        return Call(
            f"publish of {event.type} on {event.channel}",
            "POST",
            self.address.publish,
            incoming.receipt_of,
            outgoing.publish_body(event, key),
            key,
        )

    def history(self, channels: Channels, **options: Unpack[HistoryOptions[str]]) -> Call[HistoryPage[EventT_co]]:
        """Raises InvalidInputError, whose `issues` name `channels` or `types`."""
        url = self.address.history(channels, **options)
        return Call("history", "GET", url, lambda document: incoming.page_of(document, self.contract))

    def attempts(self, call: Call[Any], timeout: float | None) -> Attempts:
        """The attempts at one call, for `timeout` seconds instead of the client's."""
        return Attempts(call.name, self.timeout if timeout is None else timeout, self.retry)
