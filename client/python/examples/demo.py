"""What the demo asks of a service that it has started: to say when it is ready, to count, and to end with the demo.

The demo speaks over the channel of Node.js: lines of JSON on a socket whose number is in NODE_CHANNEL_FD. A service
that somebody else started has nobody to tell.
"""

import asyncio
import json
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from courier_client import BackgroundPublisher


class Demo:
    """The demo, as a service sees it."""

    def __init__(self, writer: asyncio.StreamWriter | None) -> None:
        self._writer = writer

    def ready(self) -> None:
        """Tells that the service receives whatever is published from now on."""
        self.tell({"kind": "ready"})

    def tell(self, report: dict[str, object]) -> None:
        if self._writer is not None:
            self._writer.write(json.dumps(report).encode() + b"\n")


@asynccontextmanager
async def demo_of(courier: BackgroundPublisher) -> AsyncIterator[Demo]:
    """Answers the demo meanwhile. What is inside is cancelled when the demo has ended."""
    fd = os.environ.get("NODE_CHANNEL_FD")
    if fd is None:
        yield Demo(None)
        return
    # The demo kills a gateway, and shows itself that nothing is lost.
    logging.getLogger("courier_client").setLevel(logging.ERROR)
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=int(fd)))
    demo = Demo(writer)
    async with anyio.create_task_group() as group:

        async def answer() -> None:
            async for line in reader:
                if json.loads(line)["kind"] == "count":
                    await courier.flush()
                    demo.tell({"kind": "counted", "acknowledged": courier.published})
            group.cancel_scope.cancel()

        group.start_soon(answer)
        yield demo
        group.cancel_scope.cancel()
