"""Waiting for what sends no notification."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], bool | Awaitable[bool]], timeout: float = 10.0) -> None:
    """Checks the condition repeatedly until it is true. Fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result if isinstance(result, bool) else await result:
            return
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


async def at_rest(value: Callable[[], object], turns: int = 1000) -> None:
    """Waits until the value stays the same for many turns of the event loop: nothing is on its way in this process."""
    before, stayed = value(), 0
    while stayed < turns:
        await asyncio.sleep(0)
        now = value()
        before, stayed = now, stayed + 1 if now == before else 0
