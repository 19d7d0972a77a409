"""Where tokens come from. A client uses a token until the gateway refuses it, then asks the source for another."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from ._arguments import shown
from .errors import UnauthorizedError, UnavailableError, invalid_argument

Token = str | Callable[[], str | Awaitable[str]]
"""A token, or a function that returns one. It is called for the first token, and when the gateway refused the last."""


class TokenSource:
    """Where a client gets its tokens, and the token that it uses. All of the client's event loops share it."""

    def __init__(self, given: Any) -> None:
        """Without an argument, the source is the value that COURIER_TOKEN has now."""
        self.token: str | None = None
        if given is None:
            self.given = os.environ.get("COURIER_TOKEN")
        else:
            self.set(given)

    def set(self, given: Any) -> None:
        """Raises InvalidInputError, naming `token`."""
        if not isinstance(given, str) and not callable(given):
            raise invalid_argument(
                f"token must be a string, or a function that returns one, not {type(given).__name__}", path="token"
            )
        self.given = given
        self.token = None

    def must_ask(self, refused: str | None) -> bool:
        """Whether the client has no token, or one that was refused where there may be another."""
        return self.token is None or (self.token == refused and callable(self.given))

    def take(self, answer: Any, given: Any) -> str:
        """The token that `given` has answered. It is kept, unless another source was set meanwhile."""
        token = _usable("what the token function returned" if callable(given) else "the token", answer)
        if self.given is given:
            self.token = token
        return token


def _usable(what: str, token: Any) -> str:
    """Returns the token as a header may carry it. Raises UnauthorizedError when there is none."""
    text = token.strip() if isinstance(token, str) else ""
    if token is None:
        problem = "there is no token"
    elif not isinstance(token, str):
        problem = f"{what} is {shown(token)}, and must be a string"
    elif not text:
        problem = f"{what} is empty"
    elif text.split()[0].lower() == "bearer":
        problem = f"{what} begins with the word Bearer, which the client itself adds: give what follows it"
    elif not all("!" <= character <= "~" for character in text):
        problem = f"{what} has a space, a line break or another character in it that no token has"
    else:
        return text
    raise UnauthorizedError(
        "UNAUTHORIZED", problem, hint="Pass the token alone as `token`, or set COURIER_TOKEN to it."
    )


def _failed(error: Exception) -> UnavailableError:
    return UnavailableError("TOKEN_UNAVAILABLE", f"the token function failed: {error!r}")


class Tokens:
    """The tokens of an asynchronous client in one event loop. The function may be async."""

    def __init__(self, source: TokenSource, timeout: float) -> None:
        """The function may take `timeout` seconds."""
        self._source = source
        self._timeout = timeout
        self._asking = asyncio.Lock()

    async def get(self) -> str:
        """Raises UnauthorizedError when there is none, UnavailableError (TOKEN_UNAVAILABLE) when the function fails."""
        return await self._renewed(None)

    async def another_than(self, refused: str) -> str | None:
        """A token other than `refused`; None when the source has no other. Raises what `get` raises."""
        token = await self._renewed(refused)
        return None if token == refused else token

    async def _renewed(self, refused: str | None) -> str:
        async with self._asking:
            source = self._source
            if source.token is not None and not source.must_ask(refused):
                return source.token
            given = source.given
            return source.take(await self._ask(given), given)

    async def _ask(self, given: Any) -> Any:
        if not callable(given):
            return given
        try:
            with anyio.fail_after(self._timeout):
                token = given()
                return await token if inspect.isawaitable(token) else token
        except Exception as error:
            raise _failed(error) from error


class SyncTokens:
    """The tokens of a synchronous client in one process."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._asking = threading.Lock()

    def get(self) -> str:
        """As `Tokens.get`."""
        return self._renewed(None)

    def another_than(self, refused: str) -> str | None:
        """As `Tokens.another_than`."""
        token = self._renewed(refused)
        return None if token == refused else token

    def _renewed(self, refused: str | None) -> str:
        with self._asking:
            source = self._source
            if source.token is not None and not source.must_ask(refused):
                return source.token
            given = source.given
            return source.take(_ask(given), given)


def _ask(given: Any) -> Any:
    if not callable(given):
        return given
    try:
        return given()
    except Exception as error:
        raise _failed(error) from error


def require_plain(token: Any) -> None:
    """Raises InvalidInputError for an async function."""
    if inspect.iscoroutinefunction(token):
        raise invalid_argument("token is an async function: give SyncCourierClient a plain one", path="token")
