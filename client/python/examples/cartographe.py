"""Cartographe: backtests every strategy that is completed, also those that came while it was not running."""

import argparse
import asyncio
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from courier_client import BackgroundPublisher, CourierClient, FileCursor, caused_by, events
from demo import Demo, demo_of
from moving_average import Backtest, Bar, Candidate, read_bars

STEPS = 5
"""Progress events a backtest."""


async def backtest(
    strategy: events.StrategyGenerationCompletedData, bars: list[Bar], courier: BackgroundPublisher
) -> None:
    strategy_id, total = strategy.strategy_id, len(bars)
    backtest_id = f"bt-{strategy_id}"
    started = events.backtest_started(
        backtest_id=backtest_id,
        strategy_id=strategy_id,
        symbol="SPX",
        from_=bars[0].date,
        to=bars[-1].date,
        bars_total=total,
    )
    courier.submit_event(started)
    candidate = candidate_of(strategy.parameters or {})
    if candidate is None or candidate.slow >= total:
        code, message = "no_windows", "its parameters have no windows, fast and slow, in bars"
        if candidate is not None:
            code, message = "too_few_bars", f"a window of {candidate.slow} bars needs more than the {total} there are"
        failed = events.backtest_failed(backtest_id=backtest_id, code=code, message=message, retryable=False)
        courier.submit_event(failed)
        return
    work = Backtest(candidate, bars)
    for done in work.run():
        if done % math.ceil(total / STEPS) == 0:
            progress = events.backtest_progress(
                backtest_id=backtest_id, progress=done / total, bars_processed=done, bars_total=total
            )
            courier.submit_event(progress)
            await asyncio.sleep(0)
    completed = events.backtest_completed(backtest_id=backtest_id, strategy_id=strategy_id, metrics=work.metrics())
    courier.submit_event(completed)


def candidate_of(parameters: Mapping[str, Any]) -> Candidate | None:
    """Returns what a strategy tries; None when it has no windows, as one of somebody else may."""
    fast, slow = parameters.get("fast"), parameters.get("slow")
    if isinstance(fast, int) and isinstance(slow, int) and fast > 0 and slow > 0:
        return Candidate(fast, slow)
    return None


async def work(client: CourierClient, courier: BackgroundPublisher, bars: list[Bar], demo: Demo) -> None:
    # If Cartographe was away for longer than events are kept, it goes on with what there is; the log says so.
    subscription = client.subscribe(
        "strategy.*",
        types="strategy.generation.completed",
        on_gap="continue",
        cursor=FileCursor("cartographe.position"),
    )
    async with subscription:
        demo.ready()
        async for event in subscription:
            if isinstance(event, events.StrategyGenerationCompletedEvent):
                with caused_by(event):
                    await backtest(event.data, bars, courier)


async def main(bars: list[Bar]) -> None:
    url = os.environ.get("COURIER_URL", "http://localhost:8766")
    async with (
        CourierClient(url, "cartographe") as client,
        BackgroundPublisher(client) as courier,
        demo_of(courier) as demo,
    ):
        # A gateway that is away is waited for, however long.
        await work(client, courier, bars, demo)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bars", type=Path, help="a CSV file of daily bars: date, open, close")
    asyncio.run(main(read_bars(parser.parse_args().bars)))
