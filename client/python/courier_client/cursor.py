"""Where a consumer keeps how far it has come, so that a subscription resumes there in another process."""

from __future__ import annotations

import asyncio
import math
import os
import re
import tempfile
import threading
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from ._arguments import duration
from ._fork import leave_to_parent, watch_forks
from .errors import CursorError, InvalidInputError, invalid_argument

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


@runtime_checkable
class BufferedCursor(Cursor, Protocol):
    """A cursor that stores positions later than it is given them."""

    def flush(self) -> object:
        """Stores the last position now. `Subscription.commit` and the end of a subscription call it. May be async."""
        ...


class FileCursor:
    """Stores a position in a file, every `sync_interval` seconds at most, and when the subscription ends.

    After a crash of the process or of the machine, the events of the last `sync_interval` come again; none is left
    out. With 0, each position is on the disk before the next event is given, which is slow: a few hundred to a few
    thousand events per second.

    The file is replaced as a whole: it contains the old position or the new one. One subscription to a file: two would
    overwrite each other's position. In a child process, the cursor begins with what is in the file.
    """

    def __init__(self, path: str | os.PathLike[str], *, sync_interval: float = 1.0) -> None:
        """Makes the folder of the file.

        Raises:
            InvalidInputError: `sync_interval` or `path` is wrong: the file contains something else, or nobody may write
                there.
        """
        self._interval = duration("sync_interval", sync_interval)
        if not isinstance(path, str | os.PathLike):
            raise invalid_argument(f"path must be a path, not {path!r}", path="path")
        self._path = Path(path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self._path.parent).close()
            self._stored = self._read()
        except (OSError, CursorError, ValueError) as error:
            if isinstance(error, InvalidInputError):
                raise
            raise invalid_argument(f"path {str(self._path)!r} cannot be a cursor: {error}", path="path") from error
        self._position = self._stored
        self._stored_at = -math.inf
        self._later: asyncio.Task[None] | None = None
        self._failure: CursorError | None = None
        self._writing = threading.Lock()
        watch_forks(self)

    async def load(self) -> str | None:
        """Returns the last position; None when there is none.

        Raises:
            InvalidInputError: the file contains something else.
            CursorError: the file cannot be read.
        """
        if self._position == self._stored:
            self._position = self._stored = await asyncio.to_thread(self._read)
        return self._position

    async def save(self, position: str, /) -> None:
        """Raises CursorError when the file could not be written; it then contains an earlier position."""
        self._position = position
        if self._failure is not None:
            await self.flush()
        wait = self._stored_at + self._interval - time.monotonic()
        if wait <= 0:
            await self.flush()
        elif self._later is None or self._later.done():
            self._later = asyncio.create_task(self._flush_after(wait), name="courier-file-cursor")

    async def flush(self) -> None:
        """Stores the last position now. Raises what `save` raises."""
        later, self._later = self._later, None
        if later is not None and later is not asyncio.current_task():
            later.cancel()
        self._failure = None
        await asyncio.to_thread(self._store)

    def after_fork(self) -> None:
        """Is called in a child process: the position that is not stored yet is the parent's."""
        leave_to_parent(self._later)
        self._later = self._failure = None
        self._writing = threading.Lock()
        self._position = self._stored = None
        self._stored_at = -math.inf

    async def _flush_after(self, wait: float) -> None:
        await asyncio.sleep(wait)
        try:
            await self.flush()
        except CursorError as error:
            # The next `save` tries again, and raises what is then wrong.
            self._failure = error

    def _read(self) -> str | None:
        with self._as_cursor_error():
            try:
                text = self._path.read_bytes().decode("utf-8", "replace").strip()
            except FileNotFoundError:
                return None
        if _POSITION.fullmatch(text):
            return text
        raise invalid_argument(
            f"path {str(self._path)!r} holds no position of Courier",
            path="path",
            hint="Delete it to begin anew, or name another file.",
        )

    def _store(self) -> None:
        with self._writing, self._as_cursor_error():
            position = self._position
            if position is not None and position != self._stored:
                self._write(position)
                self._stored = position
            self._stored_at = time.monotonic()

    @contextmanager
    def _as_cursor_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CursorError("CURSOR_FAILED", f"{self._path}: {error}") from error

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
