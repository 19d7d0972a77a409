"""Token functions: when a publish asks for a token, and how often."""

from __future__ import annotations

import asyncio

import pytest

from conftest import FAST
from courier_client import (
    CourierClient,
    InvalidInputError,
    SubscriptionState,
    SyncCourierClient,
    UnauthorizedError,
    UnavailableError,
    events,
)
from processes import Gateway
from waiting import until

PROGRESS: events.BacktestProgressDict = {"backtest_id": "b1", "progress": 0.5}


class TokenFunction:
    """Returns the tokens one after another, then the last one repeatedly. Counts its calls."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = [*tokens]
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        await asyncio.sleep(0)
        return self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]


async def test_a_token_function_is_asked_again_when_the_token_was_refused(gateway: Gateway) -> None:
    token = TokenFunction(gateway.token(lifetime=-60), gateway.token())
    async with CourierClient(gateway.url, token=token) as client:
        # Every publish is refused with the expired token, and one of them asks for another.
        drafts = [events.backtest_progress(backtest_id="renewed", progress=0.5) for _ in range(20)]
        receipts = await asyncio.gather(*(client.publish_event(draft) for draft in drafts))
        await client.publish_event(drafts[0])
    assert len({receipt.id for receipt in receipts}) == 20
    assert token.calls == 2


async def test_a_token_function_is_not_asked_again_and_again(gateway: Gateway) -> None:
    token = TokenFunction(*(gateway.token(lifetime=-age) for age in (60, 61, 62, 63)))
    async with CourierClient(gateway.url, token=token) as client:
        with pytest.raises(UnauthorizedError):
            await client.publish("backtest.b1", "backtest.progress", PROGRESS)
    assert token.calls == 2


async def test_a_token_function_that_fails_is_tried_again(gateway: Gateway) -> None:
    calls = 0

    def token() -> str:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise OSError("the authority is away")
        return gateway.token()

    async with CourierClient(gateway.url, token=token, retry=FAST) as client:
        await client.publish("backtest.b1", "backtest.progress", PROGRESS)
        assert calls == 3
    calls = -1000
    async with CourierClient(gateway.url, token=token, retry=FAST, timeout=0.1) as client:
        with pytest.raises(UnavailableError, match="the authority is away"):
            await client.publish("backtest.b1", "backtest.progress", PROGRESS)


async def test_another_token_is_used_from_the_next_call_on(gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token(lifetime=-60), retry=FAST) as client:
        with pytest.raises(UnauthorizedError):
            await client.publish("backtest.b1", "backtest.progress", PROGRESS)
        client.set_token(gateway.token())
        await client.publish("backtest.b1", "backtest.progress", PROGRESS)
        client.set_token(TokenFunction(gateway.token("prophet")))
        await client.publish("strategy.token", "strategy.generation.started", {"strategy_id": "token"})
    with SyncCourierClient(gateway.url, token=gateway.token(lifetime=-60)) as sync:
        with pytest.raises(UnauthorizedError):
            sync.history("backtest.b1")
        sync.set_token(gateway.token)
        sync.history("backtest.b1")
        with pytest.raises(InvalidInputError, match=r"^token is an async function"):
            sync.set_token(TokenFunction("t1").__call__)  # type: ignore[arg-type]


async def test_a_subscription_resumes_with_another_token(gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token(lifetime=1.5), retry=FAST) as client:
        async with client.subscribe("backtest.replaced") as subscription:
            client.set_token(gateway.token())
            waiting = asyncio.ensure_future(anext(subscription))
            # The gateway ends the connection when the first token expires.
            await until(
                lambda: subscription.state is SubscriptionState.RECONNECTING or subscription.last_error is not None
            )
            receipt = await client.publish(
                "backtest.replaced", "backtest.progress", {"backtest_id": "replaced", "progress": 0.5}
            )
            assert (await waiting).id == receipt.id


async def test_a_token_function_that_was_replaced_meanwhile_does_not_win(gateway: Gateway) -> None:
    asked = asyncio.Event()
    answer = asyncio.Event()

    async def slow() -> str:
        asked.set()
        await answer.wait()
        return gateway.token()

    async with CourierClient(gateway.url, token=slow) as client:
        publishing = asyncio.ensure_future(client.publish("backtest.b1", "backtest.progress", PROGRESS))
        await asked.wait()
        client.set_token(gateway.token("prophet"))
        answer.set()
        await publishing
        await client.publish("strategy.token", "strategy.generation.started", {"strategy_id": "token"})
