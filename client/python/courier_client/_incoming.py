"""Reads what the gateway sends, answers and messages, as values. No I/O happens here."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Generic, TypeVar, cast

from pydantic import ValidationError

from ._answers import json_in
from ._issues import issues_of
from ._model import AS_RECEIVED, Instant, Model
from ._refusals import answer_error, refusal_of
from .contract import Contract
from .envelope import (
    CourierGapData,
    CourierGapEvent,
    CourierLiveEvent,
    GenericEvent,
    HistoryPage,
    Receipt,
    Trace,
    TraceStep,
)
from .errors import CourierError, UnexpectedAnswerError, printable

logger = logging.getLogger("courier_client")

Notice = CourierGapEvent | CourierLiveEvent

EventT = TypeVar("EventT")
EventT_co = TypeVar("EventT_co", covariant=True)


def read_answer(status: int, headers: Mapping[str, str], content: bytes, contract_hash: str) -> Any:
    """The JSON object of an answer. Raises the CourierError that the answer stands for.

    `contract_hash` is that of the client's contract.
    """
    document = json_in(content)
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        if isinstance(document, dict):
            return document
        raise UnexpectedAnswerError("UNEXPECTED_ANSWER", f"the answer ({status}) is not JSON")
    raise answer_error(status, headers, content, contract_hash)


def receipt_of(document: Any) -> Receipt:
    try:
        return Receipt.model_validate(document, extra="ignore", context=AS_RECEIVED)
    except ValidationError as error:
        raise unexpected("receipt", error) from error


def receipts_of(document: Any) -> list[Receipt]:
    """The receipts in the answer of `events.publishBatch`."""
    try:
        receipts = document["result"]["data"]["json"]
        return [receipt_of(receipt) for receipt in receipts]
    except (KeyError, TypeError) as error:
        raise unexpected("list of receipts", error) from error


def outcomes_of(
    document: Any, headers: Mapping[str, str], contract_hash: str, events: int
) -> list[Receipt | CourierError]:
    """The answer of `events.publishEach` to so many events: a receipt for each, or why it was not stored."""
    try:
        outcomes = [
            refusal_of(outcome["error"], headers, contract_hash) if "error" in outcome else receipt_of(outcome)
            for outcome in document["result"]["data"]["json"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise unexpected("list of receipts and errors", error) from error
    if len(outcomes) != events:
        message = f"what came are {len(outcomes)} receipts and errors for {events} events"
        raise UnexpectedAnswerError("UNEXPECTED_ANSWER", message)
    return outcomes


def page_of(document: Any, contract: Contract[EventT, Any, Any, Any, Any]) -> HistoryPage[EventT]:
    try:
        gap = document.get("gap")
        return HistoryPage(
            events=tuple(event_of(event, contract) for event in document["events"]),
            next=str(document["next"]),
            has_more=document["has_more"] is True,
            gap=None if gap is None else CourierGapData.model_validate(gap, extra="allow"),
        )
    except (ValidationError, KeyError, TypeError) as error:
        raise unexpected("page of history", error) from error


class _Step(Model, frozen=True):
    event: dict[str, Any]
    stored_at: Instant | None
    after_cause_ms: float | None


class _TracePage(Model, frozen=True):
    correlation_id: str
    steps: list[_Step]
    hidden: int
    next: str
    has_more: bool
    is_partial: bool


@dataclass(frozen=True)
class TracePage(Generic[EventT_co]):
    """One page of a piece of work."""

    trace: Trace[EventT_co]
    """With the steps of the page."""
    next: str
    has_more: bool


def trace_page_of(document: Any, contract: Contract[EventT, Any, Any, Any, Any]) -> TracePage[EventT]:
    try:
        page = _TracePage.model_validate(document, extra="ignore", context=AS_RECEIVED)
    except ValidationError as error:
        raise unexpected("page of a piece of work", error) from error
    steps = (TraceStep(event_of(step.event, contract), step.stored_at, step.after_cause_ms) for step in page.steps)
    return TracePage(Trace(page.correlation_id, tuple(steps), page.hidden, page.is_partial), page.next, page.has_more)


def message_of(text: str | bytes, contract: Contract[EventT, Any, Any, Any, Any]) -> EventT | Notice:
    """Reads one message of a subscription. Raises UnexpectedAnswerError."""
    document = json_in(text)
    notice = _NOTICES.get(document.get("type")) if isinstance(document, dict) else None
    if notice is None:
        return event_of(document, contract)
    try:
        return notice.model_validate(document, extra="allow", context=AS_RECEIVED)
    except ValidationError as error:
        raise unexpected("notice", error) from error


_NOTICES: dict[Any, type[Notice]] = {
    "courier.gap": CourierGapEvent,
    "courier.live": CourierLiveEvent,
}


def event_of(document: Any, contract: Contract[EventT, Any, Any, Any, Any]) -> EventT:
    """Reads an event: a GenericEvent when the contract does not know the type or the form of the data."""
    kind = contract.events.get(str(document.get("type"))) if isinstance(document, dict) else None
    if kind is not None:
        try:
            return cast("EventT", kind.model_validate(document, extra="allow", context=AS_RECEIVED))
        except ValidationError as error:
            logger.warning("an event of another contract is given as a GenericEvent: %s", faults(error))
    try:
        return cast("EventT", GenericEvent.model_validate(document, extra="allow", context=AS_RECEIVED))
    except ValidationError as error:
        raise unexpected("event", error) from error


def unexpected(what: str, error: Exception) -> UnexpectedAnswerError:
    return UnexpectedAnswerError("UNEXPECTED_ANSWER", f"what came is no {what}: {faults(error)}")


def faults(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}"
    return "; ".join(printable(f"{issue.path}: {issue.message}") for issue in issues_of(error))
