"""Cartographe: backtests every strategy that is completed, also those that came while it was not running."""

import asyncio
import os

from courier_client import BackgroundPublisher, CourierClient, FileCursor, events


async def backtest(strategy_id: str, courier: BackgroundPublisher) -> None:
    backtest_id = f"bt_{strategy_id}"
    courier.submit_event(events.backtest_started(backtest_id=backtest_id, strategy_id=strategy_id))
    metrics = {"total_return": 0.25, "max_drawdown": 0.1, "trades": 42}  # here is the work
    courier.submit_event(events.backtest_completed(backtest_id=backtest_id, strategy_id=strategy_id, metrics=metrics))


async def work(client: CourierClient, courier: BackgroundPublisher) -> None:
    # If Cartographe was away for longer than events are kept, it goes on with what there is; the log says so.
    subscription = client.subscribe(
        "strategy.*",
        types="strategy.generation.completed",
        on_gap="continue",
        cursor=FileCursor("cartographe.position"),
    )
    async with subscription:
        async for event in subscription:
            if isinstance(event, events.StrategyGenerationCompletedEvent):
                await backtest(event.data.strategy_id, courier)


async def main() -> None:
    url = os.environ.get("COURIER_URL", "http://localhost:8766")
    async with CourierClient(url, "cartographe") as client, BackgroundPublisher(client) as courier:
        # A gateway that is away is waited for, however long.
        await work(client, courier)


if __name__ == "__main__":
    asyncio.run(main())
