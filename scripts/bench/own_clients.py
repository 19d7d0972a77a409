"""The process of a service that publishes with the Python client; it is asked and answers as `own-clients.ts`."""

import asyncio
import json
import os
import socket
import time
from typing import Any

from courier_client import CourierClient

DATA = {"job_id": "bench", "progress": 0.5, "step": "measuring", "message": "x" * 150}


async def publish(client: CourierClient, in_flight: int, seconds: float) -> dict[str, Any]:
    """Keeps so many publishes under way."""
    cpu = time.process_time()
    started_at = time.monotonic()
    acks = 0

    async def publisher() -> None:
        nonlocal acks
        while time.monotonic() - started_at < seconds:
            await client.publish("forge.job.bench", "forge.job.progress", DATA)
            acks += 1

    await asyncio.gather(*(publisher() for _ in range(in_flight)))
    took = time.monotonic() - started_at
    return {"kind": "published", "acks": acks, "seconds": took, "cpuMicros": (time.process_time() - cpu) * 1e6}


async def main() -> None:
    """Answers one question after another, until the benchmark has gone."""
    with socket.socket(fileno=int(os.environ["NODE_CHANNEL_FD"])) as channel, channel.makefile("rw") as lines:

        def tell(answer: dict[str, Any]) -> None:
            print(json.dumps(answer), file=lines, flush=True)

        tell({"kind": "ready"})
        client: CourierClient | None = None
        for line in lines:
            question = json.loads(line)
            client = client or CourierClient(f"http://127.0.0.1:{question['port']}", token=question["token"])
            try:
                tell(await publish(client, question["inFlight"], question["seconds"]))
            except Exception as error:  # noqa: BLE001 - whatever it is, the benchmark says so.
                tell({"kind": "failed", "reason": repr(error)})


asyncio.run(main())
