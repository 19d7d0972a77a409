"""Reads what the gateway sends: answers, messages and close codes, as values or as errors. No I/O happens here."""

from __future__ import annotations

import json
import logging
import math
import re
import ssl
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar, cast

import httpx
from pydantic import ValidationError
from websockets.exceptions import InvalidProxyStatus

from ._issues import issues_of
from ._model import AS_RECEIVED
from .codes import CLOSE_CODES, SERVER_CODES
from .contract import Contract
from .envelope import (
    CourierGapData,
    CourierGapEvent,
    CourierLiveEvent,
    GenericEvent,
    HistoryPage,
    Receipt,
)
from .errors import CourierError, Issue, UnexpectedAnswerError, error_of, printable

logger = logging.getLogger("courier_client")

Notice = CourierGapEvent | CourierLiveEvent

EventT = TypeVar("EventT")


def read_answer(status: int, headers: Mapping[str, str], content: bytes, contract_hash: str) -> Any:
    """The JSON object of an answer. Raises the CourierError that the answer stands for.

    `contract_hash` is that of the client's contract.
    """
    document = _read_json(content)
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        if isinstance(document, dict):
            return document
        raise UnexpectedAnswerError("UNEXPECTED_ANSWER", f"the answer ({status}) is not JSON")
    raise answer_error(status, headers, content, contract_hash)


def _read_json(content: bytes | str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def answer_error(status: int, headers: Mapping[str, str], content: bytes, contract_hash: str) -> CourierError:
    """The error of an answer that is no success, from the gateway or from a proxy before it."""
    document = _read_json(content)
    if not isinstance(document, dict):
        document = {}
    if "error" in document:
        document = _problem_of(document)
    code = document.get("code")
    details: dict[str, Any] = {
        "channel": _text(document.get("channel")),
        "request_id": _text(document.get("request_id")) or headers.get("x-request-id"),
        "retry_after": _retry_after(document.get("retry_after_ms"), headers.get("retry-after")),
    }
    if not isinstance(code, str):
        return _proxy_error(status, headers, details)
    issues = document.get("issues")
    if isinstance(issues, list):
        details["issues"] = [
            Issue(str(issue.get("path", "")), str(issue.get("message", "")))
            for issue in issues
            if isinstance(issue, dict)
        ]
    if code == "BAD_REQUEST":
        details["hint"] = _contract_hint(headers, contract_hash)
    known = code if code in SERVER_CODES else "INTERNAL_SERVER_ERROR"
    return error_of(known, str(document.get("detail") or code), **details)


def _text(field: object) -> str | None:
    return field if isinstance(field, str) else None


def _problem_of(document: Any) -> dict[str, Any]:
    """An error of tRPC as a problem document; an empty one for something else."""
    try:
        error = document["error"]["json"]
        data = error["data"]
        return {
            "code": data["code"],
            "detail": error["message"],
            "issues": data.get("issues"),
            "request_id": data.get("requestId"),
            "retry_after_ms": data.get("retryAfterMs"),
            "channel": data.get("channel"),
        }
    except (KeyError, TypeError, AttributeError):
        return {}


_CODE_OF_STATUS: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "BAD_REQUEST",
    HTTPStatus.UNAUTHORIZED: "UNAUTHORIZED",
    HTTPStatus.FORBIDDEN: "FORBIDDEN",
    HTTPStatus.NOT_FOUND: "NOT_FOUND",
    HTTPStatus.METHOD_NOT_ALLOWED: "METHOD_NOT_SUPPORTED",
    HTTPStatus.REQUEST_TIMEOUT: "SERVICE_UNAVAILABLE",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "PAYLOAD_TOO_LARGE",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "UNSUPPORTED_MEDIA_TYPE",
    HTTPStatus.TOO_EARLY: "SERVICE_UNAVAILABLE",
    HTTPStatus.TOO_MANY_REQUESTS: "TOO_MANY_REQUESTS",
}


def _proxy_error(status: int, headers: Mapping[str, str], details: dict[str, Any]) -> CourierError:
    """The error of an answer without Courier's code. A proxy gave it, or another server."""
    message = f"something that is no Courier gateway answered {status}"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # A proxy may have passed the request on.
        return error_of("SERVICE_UNAVAILABLE", message, may_be_stored=True, **details)
    location = headers.get("location")
    if location is not None:
        message += f", to go to {location}"
    error = error_of(_CODE_OF_STATUS.get(status, "UNEXPECTED_ANSWER"), message, **details)
    error.may_pass = True
    return error


def _contract_hint(headers: Mapping[str, str], ours: str) -> str | None:
    """What to do when the gateway's contract is not that of the client."""
    theirs = headers.get("x-courier-contract")
    if theirs is None or theirs == ours:
        return None
    return (
        f"The gateway's contract is {theirs}, and that of this client is {ours}: "
        "install the courier-client of the gateway's version or export its contract again, or update the gateway."
    )


def _retry_after(milliseconds: object, header: str | None) -> float | None:
    """The delay that an answer asks for, in seconds: in its document, in milliseconds, or in a Retry-After header."""
    # NaN, which Python's JSON has, compares with nothing.
    if isinstance(milliseconds, int | float) and milliseconds >= -math.inf:
        return max(0.0, min(milliseconds, sys.float_info.max)) / 1000
    if header is None:
        return None
    if _SECONDS.fullmatch(header):
        return max(0.0, float(header))
    try:
        when = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    # A date without a zone is in UTC.
    return max(0.0, (when.replace(tzinfo=when.tzinfo or timezone.utc) - datetime.now(timezone.utc)).total_seconds())


_SECONDS = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


def receipt_of(document: Any) -> Receipt:
    try:
        return Receipt.model_validate(document, extra="ignore", context=AS_RECEIVED)
    except ValidationError as error:
        raise _unexpected("receipt", error) from error


def receipts_of(document: Any) -> list[Receipt]:
    """The receipts in the answer of `events.publishBatch`."""
    try:
        receipts = document["result"]["data"]["json"]
        return [receipt_of(receipt) for receipt in receipts]
    except (KeyError, TypeError) as error:
        raise _unexpected("list of receipts", error) from error


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
        raise _unexpected("page of history", error) from error


def message_of(text: str | bytes, contract: Contract[EventT, Any, Any, Any, Any]) -> EventT | Notice:
    """Reads one message of a subscription. Raises UnexpectedAnswerError."""
    document = _read_json(text)
    notice = _NOTICES.get(document.get("type")) if isinstance(document, dict) else None
    if notice is None:
        return event_of(document, contract)
    try:
        return notice.model_validate(document, extra="allow", context=AS_RECEIVED)
    except ValidationError as error:
        raise _unexpected("notice", error) from error


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
            logger.warning("an event of another contract is given as a GenericEvent: %s", _faults(error))
    try:
        return cast("EventT", GenericEvent.model_validate(document, extra="allow", context=AS_RECEIVED))
    except ValidationError as error:
        raise _unexpected("event", error) from error


def _unexpected(what: str, error: Exception) -> UnexpectedAnswerError:
    return UnexpectedAnswerError("UNEXPECTED_ANSWER", f"what came is no {what}: {_faults(error)}")


def _faults(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {error}"
    return "; ".join(printable(f"{issue.path}: {issue.message}") for issue in issues_of(error))


def close_error(code: int, reason: str, headers: Mapping[str, str], contract_hash: str) -> CourierError:
    """The error of a closed connection. `headers` are those of the answer that opened the connection."""
    meaning = CLOSE_CODES.get(code)
    if meaning is None:
        told = "" if code in {1005, 1006} else f" (closed with {code})"
        return error_of("UNREACHABLE", f"the connection was lost{told}", close_code=code)
    if code == _NOT_ALLOWED and reason.startswith(_FORBIDDEN):
        return error_of("FORBIDDEN", reason.removeprefix(_FORBIDDEN), close_code=code)
    hint = _contract_hint(headers, contract_hash) if meaning.code == "BAD_REQUEST" else None
    return error_of(meaning.code, reason or meaning.hint, hint=hint or meaning.hint, close_code=code)


_NOT_ALLOWED = 1008
_FORBIDDEN = "forbidden: "
"""How a reason of that close code begins where the token is valid: PROTOCOL.md. Its end may be cut off."""


def unreachable(base_url: str, error: Exception) -> CourierError:
    """The error of an attempt without an answer: UnexpectedAnswerError when no attempt can get one."""
    reason = str(error) or type(error).__name__
    if _is_certificate_error(error):
        return UnexpectedAnswerError(
            "UNEXPECTED_ANSWER",
            f"the certificate of {base_url} is not trusted: {reason}",
            hint="Pass `ca_file` or `ssl_context` with the authority that signed it.",
        )
    if _is_refused_by_proxy(error):
        return UnexpectedAnswerError(
            "UNEXPECTED_ANSWER",
            f"the proxy before {base_url} asks who you are: {reason}",
            hint="Put the user name and the password into the address of the proxy.",
        )
    return error_of("UNREACHABLE", f"no answer from {base_url}: {reason}")


def _is_refused_by_proxy(error: Exception) -> bool:
    if isinstance(error, InvalidProxyStatus):
        return error.response.status_code == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
    # HTTPX has the status in the message only.
    return isinstance(error, httpx.ProxyError) and str(error).startswith("407")


def _is_certificate_error(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
