"""Publishing beside the work of a service: a gateway that is away never breaks or slows it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

import anyio

from ._outgoing import snapshot
from .envelope import Data, EventDraft
from .errors import ClosedError, CourierError, InvalidInputError, QueueFullError
from .retry import Backoff

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from .client import CourierClient

logger = logging.getLogger("courier_client")

OnError = Callable[[Exception, EventDraft[Any]], object]


class BackgroundPublisher:
    """Publishes what is submitted, in that order, one after another, for as long as it takes.

    What may pass is tried again until it is stored; what is refused is counted and told to
    `on_error`. When more than `max_events` wait, some are given up: by default the oldest.
    """

    def __init__(
        self,
        client: CourierClient,
        *,
        max_events: int = 1000,
        when_full: Literal["drop-oldest", "drop-newest"] = "drop-oldest",
        on_error: OnError | None = None,
        retry: Backoff | None = None,
    ) -> None:
        """Make it in the event loop of the client.

        Args:
            client: Is not closed by this.
            max_events: Events that may wait.
            when_full: Which event to give up for a new one, or instead of it.
            on_error: Called, in the event loop, for every event that will not be stored.
            retry: The delays between publishes that failed, each of which tried for the client's
                `timeout`.
        """
        if max_events < 1:
            raise InvalidInputError("INVALID_ARGUMENT", f"max_events must be 1 or more, not {max_events}")
        self._client = client
        self._max_events = max_events
        self._when_full = when_full
        self._on_error = on_error
        self._retry = retry or Backoff()
        self._queue: deque[EventDraft[Any]] = deque()
        self._loop = asyncio.get_running_loop()
        self._filled = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._closed = False
        self._overflowing = False
        self._submitted = self._published = self._dropped = self._refused = 0
        self._worker = self._loop.create_task(self._work(), name="courier-background-publisher")

    @property
    def submitted(self) -> int:
        """Events that were handed in: `published + dropped + refused + pending`."""
        return self._submitted

    @property
    def published(self) -> int:
        """Events that are stored."""
        return self._published

    @property
    def dropped(self) -> int:
        """Events that were given up: because the queue was full, or at the end."""
        return self._dropped

    @property
    def refused(self) -> int:
        """Events that the gateway would never take."""
        return self._refused

    @property
    def pending(self) -> int:
        """Events that wait, and the one that is being published."""
        return self._submitted - self._published - self._dropped - self._refused

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def submit(
        self,
        channel: str,
        event_type: str,
        data: Data,
        *,
        correlation_id: str | None = None,
        user_id: str | None = None,
        timestamp: datetime | None = None,
        traceparent: str | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        """Hands in an event, as `CourierClient.publish` takes it. Never raises, never waits.

        May be called from any thread.
        """
        self.submit_event(
            EventDraft(
                channel=channel,
                type=event_type,
                data=data,
                correlation_id=correlation_id,
                user_id=user_id,
                timestamp=timestamp,
                traceparent=traceparent,
                idempotency_key=idempotency_key,
            )
        )

    def submit_event(self, event: EventDraft[Any]) -> None:
        """As `submit`, for what `courier_client.events` makes."""
        try:
            # It happened now, whenever it is published, and whatever becomes of its data.
            timestamp = event.timestamp or datetime.now(timezone.utc)
            key = event.idempotency_key or uuid.uuid4().hex
            complete = snapshot(replace(event, timestamp=timestamp, idempotency_key=key))
        except Exception as error:  # noqa: BLE001 (nothing may break the caller)
            self._in_loop(self._refuse_at_once, event, error)
        else:
            self._in_loop(self._enqueue, complete)

    async def flush(self, timeout: float | None = None) -> bool:
        """Waits until nothing is pending; False when that takes longer than `timeout` seconds."""
        with anyio.move_on_after(timeout):
            await self._settled.wait()
        return self._settled.is_set()

    async def aclose(self, timeout: float = 5.0) -> None:
        """Waits up to `timeout` seconds for what is pending, gives up the rest, and ends."""
        self._closed = True
        await self.flush(timeout)
        while not self._worker.done():
            # Once is not enough on Python 3.10, where a timeout of the moment takes the cancellation for its own.
            self._worker.cancel()
            await asyncio.wait([self._worker], timeout=0.1)

    def _in_loop(self, call: Callable[..., None], *arguments: Any) -> None:
        """Calls it in the event loop: now, or soon when this is another thread."""
        if _running_loop() is self._loop:
            call(*arguments)
            return
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            # The event loop has ended, and with it everything else that counts here.
            self._submitted += 1
            self._dropped += 1

    def _enqueue(self, event: EventDraft[Any]) -> None:
        self._submitted += 1
        if self._closed:
            self._drop(event, ClosedError("CLOSED", "the publisher was closed"))
            return
        if len(self._queue) >= self._max_events:
            self._make_room_for(event)
        else:
            self._queue.append(event)
        self._settled.clear()
        self._filled.set()

    def _make_room_for(self, event: EventDraft[Any]) -> None:
        if not self._overflowing:
            logger.warning("%d events wait to be published: dropping some", self._max_events)
            self._overflowing = True
        given_up = event
        if self._when_full == "drop-oldest":
            given_up = self._queue.popleft()
            self._queue.append(event)
        self._drop(given_up, QueueFullError("QUEUE_FULL", f"{self._max_events} events wait"))

    def _refuse_at_once(self, event: EventDraft[Any], error: Exception) -> None:
        self._submitted += 1
        self._refuse(event, error)

    def _refuse(self, event: EventDraft[Any], error: Exception) -> None:
        self._refused += 1
        logger.error("an event was refused: %s", error)
        self._tell(event, error)

    def _drop(self, event: EventDraft[Any], error: Exception) -> None:
        self._dropped += 1
        self._tell(event, error)

    def _tell(self, event: EventDraft[Any], error: Exception) -> None:
        if self._on_error is None:
            return
        try:
            self._on_error(error, event)
        except Exception:
            logger.exception("on_error failed")

    async def _work(self) -> None:
        try:
            while True:
                await self._filled.wait()
                while self._queue:
                    await self._publish(self._queue.popleft())
                self._overflowing = False
                self._filled.clear()
                self._settled.set()
        finally:
            self._closed = True
            while self._queue:
                self._give_up(self._queue.popleft())
            self._settled.set()

    async def _publish(self, event: EventDraft[Any]) -> None:
        """Until it is stored or refused."""
        failures = 0
        try:
            while (error := await self._attempt(event)) is not None:
                delay = (error.retry_after or 0.0) + self._retry.jitter(failures)
                failures += 1
                logger.warning("%s; %d events wait", error, self.pending)
                await anyio.sleep(delay)
        except asyncio.CancelledError:
            self._give_up(event)
            raise

    async def _attempt(self, event: EventDraft[Any]) -> CourierError | None:
        """Returns an error that may pass."""
        try:
            await self._client.publish_event(event)
        except Exception as error:  # noqa: BLE001 (nothing may end the worker)
            if isinstance(error, CourierError) and error.retryable:
                return error
            self._refuse(event, error)
        else:
            self._published += 1
        return None

    def _give_up(self, event: EventDraft[Any]) -> None:
        self._drop(event, ClosedError("CLOSED", "the publisher was closed before it was stored"))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
