"""Prophet: publishes beside its work, which a gateway that is away neither breaks nor slows."""

import asyncio
import os

from courier_client import BackgroundPublisher, CourierClient, events


async def generate(strategy_id: str, courier: BackgroundPublisher) -> None:
    courier.submit_event(events.strategy_generation_started(strategy_id=strategy_id, symbols=["SPX"]))
    try:
        for step in range(1, 5):
            await asyncio.sleep(0.01)  # here is the work
            courier.submit_event(events.strategy_generation_progress(strategy_id=strategy_id, progress=step / 4))
    except Exception as error:
        message = repr(error)[:1000]
        courier.submit_event(events.strategy_generation_failed(strategy_id=strategy_id, code="crash", message=message))
        raise
    courier.submit_event(events.strategy_generation_completed(strategy_id=strategy_id, score=1.25))


async def main() -> None:
    url = os.environ.get("COURIER_URL", "http://localhost:8766")
    # The token is that of COURIER_TOKEN. What could not be published is counted, and in the log.
    async with CourierClient(url, "prophet") as client, BackgroundPublisher(client) as courier:
        await generate("strat_abc", courier)
    print(f"{courier.published} published, {courier.dropped} dropped, {courier.refused} refused")


if __name__ == "__main__":
    asyncio.run(main())
