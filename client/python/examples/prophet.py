"""Prophet: proposes strategies for every research job. A gateway that is away neither breaks nor slows its work."""

import asyncio
import os

from courier_client import BackgroundPublisher, CourierClient, caused_by, events
from demo import demo_of
from moving_average import Candidate, candidates_of


def propose(candidate: Candidate, job: dict[str, object], courier: BackgroundPublisher) -> None:
    fast, slow, strategy_id = candidate.fast, candidate.slow, candidate.strategy_id
    parameters = {"fast": fast, "slow": slow, **job}
    started = events.strategy_generation_started(strategy_id=strategy_id, symbols=["SPX"], parameters=parameters)
    courier.submit_event(started)
    progress = events.strategy_generation_progress(strategy_id=strategy_id, progress=0.5, stage="choosing windows")
    courier.submit_event(progress)
    if fast < slow:
        completed = events.strategy_generation_completed(
            strategy_id=strategy_id, name=f"SMA {fast}/{slow}", parameters=parameters
        )
        courier.submit_event(completed)
    else:
        message = f"the fast window ({fast}) must be shorter than the slow one ({slow})"
        failed = events.strategy_generation_failed(
            strategy_id=strategy_id, code="windows_crossed", message=message, retryable=False
        )
        courier.submit_event(failed)


async def main() -> None:
    url = os.environ.get("COURIER_URL", "http://localhost:8766")
    # The token is that of COURIER_TOKEN. What could not be published is counted, and in the log.
    async with (
        CourierClient(url, "prophet") as client,
        BackgroundPublisher(client) as courier,
        demo_of(courier) as demo,
    ):
        async with client.subscribe("forge.job.*", types="forge.job.started", on_gap="fail") as jobs:
            demo.ready()
            async for event in jobs:
                if isinstance(event, events.ForgeJobStartedEvent):
                    candidates = candidates_of(event.data.job_id)
                    job = {"job_id": event.data.job_id, "candidates": len(candidates)}
                    with caused_by(event):
                        for candidate in candidates:
                            propose(candidate, job, courier)


if __name__ == "__main__":
    asyncio.run(main())
