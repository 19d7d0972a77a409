"""Where a consumer keeps how far it has come, so that a subscription resumes there in another process."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Protocol

from .errors import invalid_argument

_POSITION = re.compile(r"[a-z0-9]{1,32}-[0-9]{1,16}")


class Cursor(Protocol):
    """Stores one position, for one subscription. Its methods may be async.

    An exception that a method raises ends the subscription.
    """

    def load(self) -> str | Awaitable[str | None] | None:
        """Returns the position to resume after; None when none was saved yet."""
        ...

    def save(self, position: str, /) -> object:
        """Stores the position of the last event that was handled.

        The subscription gives the next event only after `save` has returned, and after its result
        was awaited where it is awaitable.
        """
        ...


class FileCursor:
    """Stores a position in a file. The file is replaced as a whole: it contains the old position or the new one.

    One subscription to a file: two would overwrite each other's position.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    async def load(self) -> str | None:
        """Returns the stored position; None without a file.

        Raises:
            InvalidInputError: the file contains something else.
            OSError: the file cannot be read.
        """
        return await asyncio.to_thread(self._read)

    async def save(self, position: str, /) -> None:
        """Raises OSError when the file cannot be written; it then contains the old position."""
        await asyncio.to_thread(self._write, position)

    def _read(self) -> str | None:
        try:
            text = self._path.read_text("utf-8").strip()
        except FileNotFoundError:
            return None
        if _POSITION.fullmatch(text):
            return text
        raise invalid_argument(
            f"{self._path} holds no position of Courier", hint="Delete it to begin anew, or name another file."
        )

    def _write(self, position: str) -> None:
        handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(f"{position}\n")
                file.flush()
                # After a power cut, a file that was renamed before its content reached the disk would be empty.
                os.fsync(file.fileno())
            Path(temporary).replace(self._path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
