"""The connection of a subscription: gateways that are away, tokens that expire, servers that are no gateways."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import pytest
import websockets

from conftest import FAST
from courier_client import (
    Backoff,
    CourierClient,
    CourierError,
    ForbiddenError,
    InvalidInputError,
    RateLimitedError,
    SubscriptionState,
    UnauthorizedError,
    UnavailableError,
    UnexpectedAnswerError,
)
from processes import Gateway
from servers import free_port, tcp_server, websocket_server
from subscribing import connected, progress, progress_of
from waiting import until


async def test_states_are_reported(start_gateway: Any) -> None:
    gateway = start_gateway()
    states: list[SubscriptionState] = []

    def on_state(state: SubscriptionState) -> None:
        states.append(state)
        raise ValueError("a callback that fails breaks nothing")

    async with connected(gateway) as client:
        await client.publish_event(progress("states", 0.5))
        subscription = client.subscribe("backtest.states", from_="earliest", on_gap="fail", on_state=on_state)
        assert subscription.state is SubscriptionState.IDLE
        await anext(subscription)
        waiting = asyncio.ensure_future(anext(subscription, None))
        await until(lambda: subscription.state is SubscriptionState.LIVE)
        gateway.kill()
        await until(lambda: subscription.state is SubscriptionState.RECONNECTING)
        assert isinstance(subscription.last_error, UnavailableError)
        with Gateway(log=gateway.log, port=gateway.port):
            await until(lambda: subscription.state is SubscriptionState.LIVE)
            await subscription.aclose()
            assert await waiting is None
    assert [state.value for state in states] == [
        "connecting",
        "catching_up",
        "live",
        "reconnecting",
        "catching_up",
        "live",
        "closed",
    ]


async def test_a_gateway_that_is_away_at_the_start() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    async with CourierClient(address, token="t1", retry=FAST, give_up_after=0.1) as client:
        began = time.monotonic()
        with pytest.raises(UnavailableError, match=address):
            async with client.subscribe("backtest.b1", on_gap="fail"):
                pass
        assert time.monotonic() - began < 2


async def test_asking_again_and_again_does_not_connect_again_and_again() -> None:
    connections = 0

    async def serve(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1

    slow = Backoff(initial=10_000, maximum=10_000)
    async with tcp_server(serve) as address, CourierClient(address, token="t1", retry=slow) as client:
        subscription = client.subscribe("backtest.b1", on_gap="fail")
        while subscription.last_error is None:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(subscription), 0.02)
        connections = 0
        for _ in range(10):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(subscription), 0.02)
    assert connections == 0


async def test_a_gateway_that_is_away_for_long(start_gateway: Any) -> None:
    gateway = start_gateway()
    async with connected(gateway, give_up_after=0.1) as client:
        async with client.subscribe("backtest.b1", on_gap="fail") as subscription:
            gateway.kill()
            with pytest.raises(UnavailableError, match="It was tried for"):
                await anext(subscription)
            assert subscription.state is SubscriptionState.CLOSED


async def test_a_gateway_that_is_full_is_tried_again_after_the_time_that_it_told() -> None:
    with Gateway(COURIER_LIMITS='{"gateway": {"connections": 1}}') as gateway:
        async with connected(gateway) as first, connected(gateway) as second:
            async with first.subscribe("backtest.b1", on_gap="fail"):
                late = second.subscribe("backtest.b1", on_gap="fail")
                waiting = asyncio.ensure_future(anext(late))
                await until(lambda: late.last_error is not None)
                began = time.monotonic()
                assert isinstance(late.last_error, UnavailableError)
                assert late.last_error.message == "the gateway is full"
                assert late.last_error.retry_after == 1.0
            await until(lambda: late.state is SubscriptionState.LIVE)
            assert time.monotonic() - began > 0.9
            await first.publish_event(progress("b1", 0.5))
            assert progress_of(await waiting) == 0.5


async def test_too_many_connections_of_one_user_are_told_apart() -> None:
    with Gateway(COURIER_LIMITS='{"service": {"connections": 1}}') as gateway:
        async with connected(gateway) as client, client.subscribe("backtest.b1", on_gap="fail"):
            late = client.subscribe("backtest.b1", on_gap="fail")
            waiting = asyncio.ensure_future(anext(late))
            await until(lambda: late.last_error is not None)
            assert isinstance(late.last_error, RateLimitedError)
            assert late.last_error.message == '"cartographe" has 1 connections, and may have 1'
            waiting.cancel()


async def test_a_refused_subscription_ends(gateway: Gateway) -> None:
    async with connected(gateway) as client:
        with pytest.raises(InvalidInputError, match=r"a\.\.b"):
            await anext(client.subscribe("a..b", on_gap="fail"))
        with pytest.raises(InvalidInputError, match="type") as caught:
            await anext(client.subscribe("**", types="no.such.type", on_gap="fail"))  # type: ignore[arg-type]
        assert [issue.path for issue in caught.value.issues] == ["types.0"]
        assert caught.value.message == caught.value.issues[0].message
        assert caught.value.message.startswith(
            "type 'no.such.type' is no type of this contract: it must be one of backtest.started, "
        )
        assert "not one of Courier" not in str(caught.value)
        with pytest.raises(InvalidInputError, match="position"):
            await anext(client.subscribe("**", last_event_id="yesterday!", on_gap="fail"))
        for nothing in ([], "", ["backtest.b1", ""]):
            with pytest.raises(InvalidInputError, match="channels"):
                client.subscribe(nothing, on_gap="fail")
        with pytest.raises(InvalidInputError, match="on_gap"):
            client.subscribe("**", on_gap="ignore")  # type: ignore[arg-type]
    # The end of a long reason is cut off.
    for name, reason in (("ada", '^user "ada" may not subscribe'), ("a" * 100, '^user "aaa')):
        async with CourierClient(gateway.url, token=gateway.token(name, "user")) as client:
            with pytest.raises(ForbiddenError, match=reason):
                await anext(client.subscribe("backtest.b1", on_gap="fail"))


async def test_a_token_that_expires_is_replaced(gateway: Gateway) -> None:
    calls = 0

    def token() -> str:
        nonlocal calls
        calls += 1
        return gateway.token(lifetime=1.5 if calls == 1 else 600)

    async with CourierClient(gateway.url, token=token, retry=FAST) as client, connected(gateway) as other:
        async with client.subscribe("backtest.expires", on_gap="fail") as subscription:
            await other.publish_event(progress("expires", 0.1))
            assert progress_of(await anext(subscription)) == 0.1
            waiting = asyncio.ensure_future(anext(subscription))
            await until(lambda: calls == 2)
            await other.publish_event(progress("expires", 0.2))
            assert progress_of(await waiting) == 0.2
    assert calls == 2


async def test_a_token_function_is_not_asked_again_and_again(gateway: Gateway) -> None:
    tokens: list[str] = []

    def token() -> str:
        tokens.append(gateway.token(lifetime=-60 - len(tokens)))
        return tokens[-1]

    async with CourierClient(gateway.url, token=token, retry=FAST) as client:
        with pytest.raises(UnauthorizedError):
            await anext(client.subscribe("backtest.b1", on_gap="fail"))
    assert len({*tokens}) == len(tokens) == 2


async def test_a_token_that_expires_without_another_ends_the_subscription(gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token(lifetime=1.5), retry=FAST) as client:
        async with client.subscribe("backtest.expires", on_gap="fail") as subscription:
            with pytest.raises(UnauthorizedError, match="expired") as caught:
                await anext(subscription)
    assert caught.value.close_code == 1008


@pytest.mark.parametrize("reason", ['forbidden: user "ada" may not', f"forbidden: user {'a' * 100} may not"])
async def test_what_a_token_does_not_grant_is_told_apart_from_a_wrong_token(reason: str) -> None:
    # A close frame has room for so many bytes.
    reason = reason[:123]

    async def serve(socket: websockets.ServerConnection) -> None:
        await socket.close(1008, reason)

    async with websocket_server(serve) as address, CourierClient(address, token="t1") as client:
        with pytest.raises(ForbiddenError) as caught:
            await anext(client.subscribe("backtest.b1"))
    assert caught.value.message == reason.removeprefix("forbidden: ")


async def test_a_name_in_a_reason_makes_it_no_other() -> None:
    async def serve(socket: websockets.ServerConnection) -> None:
        await socket.close(1008, "the token of user 'forbidden: may not subscribe to' has expired")

    async with websocket_server(serve) as address, CourierClient(address, token="t1") as client:
        with pytest.raises(UnauthorizedError, match="has expired"):
            await anext(client.subscribe("backtest.b1"))


@pytest.mark.parametrize("text", ["hello", "[]", "{}", '{"type":"courier.gap"}'])
async def test_invalid_messages_end_the_subscription(text: str) -> None:
    async def serve(socket: websockets.ServerConnection) -> None:
        await socket.send(text)
        await socket.wait_closed()

    async with websocket_server(serve) as address, CourierClient(address, token="t1", retry=FAST) as client:
        with pytest.raises(UnexpectedAnswerError, match="base_url"):
            await anext(client.subscribe("**", on_gap="fail"))


async def test_an_address_without_a_gateway_is_reported(gateway: Gateway) -> None:
    async with CourierClient(f"{gateway.url}/elsewhere", token=gateway.token(), retry=FAST) as client:
        with pytest.raises(CourierError, match="base_url") as caught:
            await anext(client.subscribe("**", on_gap="fail"))
    assert caught.value.code == "NOT_FOUND"


async def test_the_first_failure_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "courier_client")
    async with CourierClient(f"http://127.0.0.1:{free_port()}", token="t1", retry=FAST) as client:
        waiting = asyncio.ensure_future(anext(client.subscribe("backtest.b1")))
        await until(lambda: len(retried(caplog)) > 3)
        assert retried(caplog)[:3] == ["WARNING", "INFO", "INFO"]
        waiting.cancel()
        caplog.clear()
        publishing = asyncio.ensure_future(client.publish_event(progress("b1", 0.5)))
        await until(lambda: len(retried(caplog)) > 3)
        assert retried(caplog)[:3] == ["WARNING", "INFO", "INFO"]
        publishing.cancel()


def retried(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records if "again in" in record.message]
