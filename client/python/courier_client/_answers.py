"""Reads the body of an answer, up to a bound: whatever answers at the address chooses its length and its form."""

from __future__ import annotations

import json
from typing import Any

import httpx

from .errors import UnexpectedAnswerError

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""A page of history has 256 KiB, and one event more."""


async def body_of(response: httpx.Response) -> bytes:
    try:
        _require_plain(response)
        body = bytearray()
        async for chunk in response.aiter_raw():
            _add(body, chunk)
        return bytes(body)
    finally:
        await response.aclose()


def body_of_sync(response: httpx.Response) -> bytes:
    try:
        _require_plain(response)
        body = bytearray()
        for chunk in response.iter_raw():
            _add(body, chunk)
        return bytes(body)
    finally:
        response.close()


def _require_plain(response: httpx.Response) -> None:
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() != "identity":
        raise UnexpectedAnswerError("UNEXPECTED_ANSWER", f"the answer is packed ({encoding}), which was not asked for")


def _add(body: bytearray, chunk: bytes) -> None:
    body += chunk
    if len(body) > MAX_ANSWER_BYTES:
        raise UnexpectedAnswerError("UNEXPECTED_ANSWER", f"the answer has more than {MAX_ANSWER_BYTES} bytes")


def json_in(content: bytes | str) -> Any:
    """What it holds; None where it is no JSON."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
