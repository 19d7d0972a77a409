"""Where a consumer keeps how far it has come, so that a subscription resumes there in another process."""

from __future__ import annotations

import asyncio
import math
import os
import re
import stat
import tempfile
import threading
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from ._arguments import of_type, seconds
from ._fork import watch_forks
from .errors import CursorError, InvalidInputError, invalid_argument

FILE_BYTES = 64
"""The longest position has 49. One sector of a disk, which is written whole or not at all, has 512 or more."""
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
    """A cursor for which a position is safe only later than it was saved."""

    def flush(self) -> object:
        """Makes the last position safe. `Subscription.commit` and the end of a subscription call it. May be async."""
        ...


class FileCursor:
    """Stores a position in a file. One subscription to a file: two would overwrite each other's position.

    At most every `sync_every` seconds, and when the subscription ends, the position goes to a temporary file, which is
    synced to the disk and then renamed over the file. In between it is written over the one in the file, which has the
    same length, so that the file holds a whole position at any moment.

    What a crash costs: after one of the process, the event that was being handled comes again; after one of the
    machine, the events since the last sync come again. No event is left out.
    """

    def __init__(self, path: str | os.PathLike[str], *, sync_every: float | None = 1.0) -> None:
        """Makes the folder of the file.

        Args:
            path: Of the file.
            sync_every: The shortest time between two syncs, in seconds. With 0 each position is synced before the next
                event is given, which takes about a millisecond. With None the first and the last one are.

        Raises:
            InvalidInputError: `sync_every` or `path` is wrong: the file holds something else, or cannot be written.
        """
        self._sync_every = seconds("sync_every", sync_every)
        of_type("path", path, (str, os.PathLike), "a path")
        self._path = Path(path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self._path.parent).close()
            self._read()
        except InvalidInputError:
            raise
        except (OSError, CursorError, ValueError) as error:
            raise invalid_argument(f"path {str(self._path)!r} cannot be a cursor: {error}", path="path") from error
        self._synced_at = -math.inf
        self._unsynced: str | None = None
        self._writing = threading.Lock()
        watch_forks(self)

    async def load(self) -> str | None:
        """Returns the stored position; None without a file.

        Raises:
            InvalidInputError: the file holds something else.
            CursorError: the file cannot be read.
        """
        return await asyncio.to_thread(self._read)

    async def save(self, position: str, /) -> None:
        """Raises CursorError when the file cannot be written; it then contains an earlier position."""
        self._unsynced = position
        is_due = time.monotonic() - self._synced_at >= self._sync_every
        # A write to the memory of the system takes less time than to wait for a thread that does it.
        if is_due or not self._overwrite(position):
            await self.flush()

    async def flush(self) -> None:
        """Syncs the last position. Raises what `save` raises."""
        await asyncio.to_thread(self._sync)

    def after_fork(self) -> None:
        """Is called in a child process: what is not synced yet is the parent's."""
        self._unsynced = None
        self._writing = threading.Lock()

    def _read(self) -> str | None:
        with self._as_cursor_error():
            try:
                mode = self._path.stat().st_mode
                # Reading a pipe would wait for its writer; that a folder cannot be read is told by the system.
                if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                    raise invalid_argument(f"path {str(self._path)!r} is no file", path="path")
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

    def _overwrite(self, position: str) -> bool:
        """Returns False when there is no file of ours yet."""
        with self._writing, self._as_cursor_error():
            try:
                handle = os.open(self._path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
            except FileNotFoundError:
                return False
            try:
                if os.fstat(handle).st_size != FILE_BYTES:
                    return False
                os.write(handle, _padded(position))
            finally:
                os.close(handle)
            return True

    def _sync(self) -> None:
        with self._writing, self._as_cursor_error():
            position = self._unsynced
            if position is None:
                return
            handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_padded(position))
                    file.flush()
                    # After a power cut, a file that was renamed before its content reached the disk would be empty.
                    os.fsync(file.fileno())
                Path(temporary).replace(self._path)
                _sync_folder(self._path.parent)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            self._synced_at = time.monotonic()
            if self._unsynced == position:
                self._unsynced = None

    @contextmanager
    def _as_cursor_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CursorError("CURSOR_UNAVAILABLE", f"{self._path}: {error}") from error


def _sync_folder(path: Path) -> None:
    """Syncs the name of a file that was renamed."""
    # Windows opens no folders, and syncs names by itself.
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _padded(position: str) -> bytes:
    return position.ljust(FILE_BYTES - 1).encode() + b"\n"
