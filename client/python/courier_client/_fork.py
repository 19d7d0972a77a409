"""Forks: a child process has the client's memory, but its connections, tasks and locks belong to the parent."""

from __future__ import annotations

import os
import weakref
from typing import Any, Protocol


class Forking(Protocol):
    """Something that has connections, tasks or locks."""

    def after_fork(self) -> None:
        """Called in the child, before anything else runs there."""
        ...


_forking: weakref.WeakSet[Forking] = weakref.WeakSet()
_of_the_parent: list[Any] = []


def watch_forks(owner: Forking) -> None:
    """Calls `owner.after_fork` in every child process, for as long as the owner lives."""
    _forking.add(owner)


def leave_to_parent(*things: Any) -> None:
    """Keeps what is the parent's out of reach of the garbage collector, which would close it for the parent too."""
    _of_the_parent.extend(things)


def _forked() -> None:
    for owner in list(_forking):
        owner.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
