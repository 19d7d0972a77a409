"""A service that publishes and subscribes with the Python client, through whatever happens to the gateway.

Prints a JSON object a line: `{"acknowledged": id, "text": text}`, `{"received": id, "text": text}`. Publishes until its
standard input says `stop`, and ends once it has received the position that comes next.
"""

import asyncio
import json
import sys
from itertools import count

from courier_client import CourierClient
from courier_client.retry import Backoff

PUBLISHERS = 4


def tell(**what: str) -> None:
    print(json.dumps(what), flush=True)


async def main(url: str, token: str) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    numbers = count()

    async def publish(client: CourierClient) -> None:
        while not stopped.is_set():
            text = f"python.{next(numbers)}"
            data = {"job_id": "load", "progress": 0.5, "step": text}
            receipt = await client.publish("forge.job.load", "forge.job.progress", data)
            tell(acknowledged=receipt.id, text=text)

    async with CourierClient(url, "forge", token, retry=Backoff(initial=0.02, maximum=0.2)) as client:

        async def subscribe(subscription) -> None:  # type: ignore[no-untyped-def]
            async for event in subscription:
                tell(received=event.id, text=event.data.step)

        async with client.subscribe("**", from_="earliest", on_gap="fail") as subscription:
            subscribing = asyncio.create_task(subscribe(subscription))
            publishing = [asyncio.create_task(publish(client)) for _ in range(PUBLISHERS)]
            await loop.run_in_executor(None, sys.stdin.readline)
            stopped.set()
            await asyncio.gather(*publishing)
            tell(done="publishing")
            await loop.run_in_executor(None, sys.stdin.readline)
        await subscribing


asyncio.run(main(*sys.argv[1:]))
