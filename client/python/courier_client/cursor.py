"""Where a subscription keeps the position that it goes on from, beyond the life of the process."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Protocol

from .errors import InvalidInputError

_POSITION = re.compile(r"[a-z0-9]{1,32}-[0-9]{1,16}")


class Cursor(Protocol):
    """Keeps one position, for one subscription. Its methods may be async."""

    def load(self) -> str | Awaitable[str | None] | None:
        """The position to go on from; None when there is none yet."""
        ...

    def save(self, position: str, /) -> object:
        """Keeps the position up to which everything was handled.

        It is waited for (and awaited, where it is awaitable) before the next event is given.
        """
        ...


class FileCursor:
    """Keeps a position in a file, which holds the old one or the new one whatever happens."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    async def load(self) -> str | None:
        """Raises InvalidInputError when there is something else in the file."""
        return await asyncio.to_thread(self._read)

    async def save(self, position: str, /) -> None:
        await asyncio.to_thread(self._write, position)

    def _read(self) -> str | None:
        try:
            text = self._path.read_text("utf-8").strip()
        except FileNotFoundError:
            return None
        if _POSITION.fullmatch(text):
            return text
        raise InvalidInputError(
            "INVALID_ARGUMENT",
            f"{self._path} holds no position of Courier",
            hint="Delete it to begin anew, or name another file.",
        )

    def _write(self, position: str) -> None:
        handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(f"{position}\n")
                file.flush()
                # A name that points to what is not yet on the disk would be empty after a power cut.
                os.fsync(file.fileno())
            Path(temporary).replace(self._path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
