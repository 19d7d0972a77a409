"""Where tokens come from. A client uses a token until the gateway refuses it, then asks the source for another."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from .errors import UnauthorizedError, UnavailableError, invalid_argument

Token = str | Callable[[], str | Awaitable[str]]
"""A token, or a function that returns one. It is called for the first token, and when the gateway refused the last."""


def source_of(token: Any) -> Any:
    """Returns the argument, or else the value that COURIER_TOKEN has now."""
    return os.environ.get("COURIER_TOKEN") if token is None else token


def _usable(token: Any) -> str:
    """Returns the token as a header may carry it. Raises UnauthorizedError when there is none."""
    text = token.strip() if isinstance(token, str) else ""
    if text and all("!" <= character <= "~" for character in text):
        return text
    raise UnauthorizedError("UNAUTHORIZED", "there is no token, or it is none")


def _failed(error: Exception) -> UnavailableError:
    return UnavailableError("TOKEN_UNAVAILABLE", f"the token function failed: {error!r}")


class Tokens:
    """The tokens of an asynchronous client, whose function may be async."""

    def __init__(self, source: Any, timeout: float) -> None:
        """The function may take `timeout` seconds."""
        self._source = source
        self._timeout = timeout
        self._token: str | None = None
        self._asking = asyncio.Lock()

    async def get(self) -> str:
        """Raises UnauthorizedError when there is none, UnavailableError (TOKEN_UNAVAILABLE) when the function fails."""
        async with self._asking:
            if self._token is None:
                self._token = _usable(await self._ask())
            return self._token

    async def another_than(self, refused: str) -> str | None:
        """A token other than `refused`; None when the source has no other. Raises what `get` raises."""
        async with self._asking:
            if self._token == refused and callable(self._source):
                self._token = _usable(await self._ask())
            return None if self._token == refused else self._token

    async def _ask(self) -> Any:
        if not callable(self._source):
            return self._source
        try:
            with anyio.fail_after(self._timeout):
                token = self._source()
                return await token if inspect.isawaitable(token) else token
        except Exception as error:
            raise _failed(error) from error


class SyncTokens:
    """The tokens of a synchronous client."""

    def __init__(self, source: Any) -> None:
        if inspect.iscoroutinefunction(source):
            raise invalid_argument("token is an async function: give SyncCourierClient a plain one")
        self._source = source
        self._token: str | None = None
        self._asking = threading.Lock()

    def get(self) -> str:
        """As `Tokens.get`."""
        with self._asking:
            if self._token is None:
                self._token = _usable(self._ask())
            return self._token

    def another_than(self, refused: str) -> str | None:
        """As `Tokens.another_than`."""
        with self._asking:
            if self._token == refused and callable(self._source):
                self._token = _usable(self._ask())
            return None if self._token == refused else self._token

    def _ask(self) -> Any:
        if not callable(self._source):
            return self._source
        try:
            return self._source()
        except Exception as error:
            raise _failed(error) from error
