"""Reads why something was refused or failed, as errors: answers, errors of single events, close codes. No I/O."""

from __future__ import annotations

import math
import re
import ssl
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx
from websockets.exceptions import InvalidProxyStatus

from ._answers import json_in
from .codes import CLOSE_CODES, SERVER_CODES
from .errors import CourierError, Issue, UnexpectedAnswerError, error_of


def answer_error(status: int, headers: Mapping[str, str], content: bytes, contract_hash: str) -> CourierError:
    """The error of an answer that is no success, from the gateway or from a proxy before it."""
    document = json_in(content)
    if not isinstance(document, dict):
        document = {}
    problem = _problem_of(document) if "error" in document else document
    details = _details_of(problem, headers)
    if not isinstance(problem.get("code"), str):
        return _proxy_error(status, headers, details)
    return _error_of_problem(problem, details, headers, contract_hash)


def _details_of(problem: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        "channel": _text(problem.get("channel")),
        "request_id": _text(problem.get("request_id")) or headers.get("x-request-id"),
        "retry_after": _retry_after(problem.get("retry_after_ms"), headers.get("retry-after")),
    }


def _error_of_problem(
    problem: Mapping[str, Any], details: dict[str, Any], headers: Mapping[str, str], contract_hash: str
) -> CourierError:
    code = problem["code"]
    issues = problem.get("issues")
    if isinstance(issues, list):
        details["issues"] = [
            Issue(str(issue.get("path", "")), str(issue.get("message", "")))
            for issue in issues
            if isinstance(issue, dict)
        ]
    if code == "BAD_REQUEST":
        details["hint"] = _contract_hint(headers, contract_hash)
    known = code if code in SERVER_CODES else "INTERNAL_SERVER_ERROR"
    return error_of(known, str(problem.get("detail") or code), **details)


def _text(field: object) -> str | None:
    return field if isinstance(field, str) else None


def _problem_of(document: Any) -> dict[str, Any]:
    """An error of tRPC as a problem document; an empty one for something else."""
    try:
        error = document["error"]["json"]
        return _problem(error["message"], error["data"])
    except (KeyError, TypeError, AttributeError):
        return {}


def _problem(message: Any, data: Any) -> dict[str, Any]:
    return {
        "code": data["code"],
        "detail": message,
        "issues": data.get("issues"),
        "request_id": data.get("requestId"),
        "retry_after_ms": data.get("retryAfterMs"),
        "channel": data.get("channel"),
    }


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


def refusal_of(refusal: Any, headers: Mapping[str, str], contract_hash: str) -> CourierError:
    problem = _problem(refusal["message"], refusal)
    return _error_of_problem(problem, _details_of(problem, headers), headers, contract_hash)


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
