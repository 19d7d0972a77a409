"""The arguments of a client: its address, its service name, its token."""

from __future__ import annotations

import asyncio
import pickle
import re
from collections.abc import Iterator
from typing import Any

import pytest

from courier_client import (
    CONTRACT_HASH,
    ClosedError,
    CourierClient,
    CourierError,
    ForbiddenError,
    InvalidInputError,
    RateLimitedError,
    SyncCourierClient,
    UnauthorizedError,
    UnavailableError,
    __version__,
    events,
)
from processes import Gateway, ScriptedServer
from servers import tcp_server

PROGRESS: events.BacktestProgressDict = {"backtest_id": "b1", "progress": 0.5}

WRONG_ADDRESSES = [
    "localhost:8766",
    "ftp://localhost:8766",
    "http://",
    "http://localhost:port",
    "http://local host:8766",
    "http://\u2603.example",
    "http://gateway..example",
    f"http://{'a' * 70}.example",
    "http://xn--a",
    "http://256.1.1.1",
    "http://[v1.x]",
    "http://me:secret@localhost:8766",
    "http://localhost:8766?token=t1",
    "",
]


@pytest.mark.parametrize("address", WRONG_ADDRESSES)
@pytest.mark.parametrize("kind", [CourierClient, SyncCourierClient])
def test_a_wrong_address_is_refused_at_once(address: str, kind: type[CourierClient | SyncCourierClient]) -> None:
    with pytest.raises(InvalidInputError, match="base_url") as caught:
        kind(address, token="t1")
    assert "http://localhost:8766" in caught.value.hint


@pytest.fixture(scope="module")
def gateway_below_a_path() -> Iterator[Gateway]:
    with Gateway(COURIER_BASE_PATH="/tools/courier") as gateway:
        yield gateway


@pytest.mark.parametrize("scheme", ["http", "ws"])
@pytest.mark.parametrize("ending", ["", "/"])
async def test_a_gateway_below_a_path_is_reached(gateway_below_a_path: Gateway, scheme: str, ending: str) -> None:
    gateway = gateway_below_a_path
    assert gateway.url.endswith("/tools/courier")
    address = gateway.url.replace("http", scheme) + ending
    async with CourierClient(address, token=gateway.token("prophet")) as client:
        receipt = await client.publish("strategy.s1", "strategy.generation.started", {"strategy_id": "s1"})
        event = await anext(client.subscribe("strategy.s1", on_gap="fail", last_event_id=before(receipt.id)))
        assert event.id == receipt.id
    with SyncCourierClient(address, token=gateway.token("prophet")) as client:
        assert client.history("strategy.s1", order="newest").events[0].id == receipt.id


def before(position: str) -> str:
    epoch, _, seq = position.partition("-")
    return f"{epoch}-{int(seq) - 1}"


def test_a_wrong_service_name_is_refused_at_once() -> None:
    with pytest.raises(InvalidInputError, match="service_name"):
        CourierClient(service_name="a b")


STORED = {
    "name": "stored",
    "why": "Who is it?",
    "publish": {"channel": "backtest.b1", "type": "backtest.progress", "data": PROGRESS},
    "answers": [{"receipt": "e1-1"}],
    "result": {"receipt": "e1-1"},
}


async def test_the_client_names_its_version_and_contract(scripted_server: ScriptedServer) -> None:
    # The address of a run has a path, as the address of a gateway behind a proxy may have.
    async with scripted_server.play(STORED) as run, CourierClient(f"{run.url}/", token="t1") as client:
        await client.publish("backtest.b1", "backtest.progress", PROGRESS)
        (call,) = (await run.seen())["calls"]
    assert call["client"] == f"courier-client-python/{__version__}"
    assert call["contract"] == CONTRACT_HASH


@pytest.mark.parametrize(("name", "agent"), [(None, ""), ("my-service", " (my-service)")])
async def test_nobody_is_named_who_is_not_given(name: str | None, agent: str) -> None:
    agents: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        agents.extend(re.findall(r"(?im)^user-agent: (.*?)\r$", head))
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with tcp_server(serve) as address, CourierClient(address, name, "t1") as client:
        with pytest.raises(ForbiddenError):
            await client.publish("backtest.b1", "backtest.progress", PROGRESS)
        with pytest.raises(ForbiddenError):
            await anext(client.subscribe("**"))
    assert agents == [f"courier-client-python/{__version__}{agent}"] * 2


async def test_the_token_may_come_from_the_environment(
    scripted_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A token from a file or a shell may end with a line break.
    monkeypatch.setenv("COURIER_TOKEN", "t1\n")
    async with scripted_server.play(STORED) as run, CourierClient(run.url) as client:
        await client.publish("backtest.b1", "backtest.progress", PROGRESS)


NO_TOKENS: list[tuple[Any, str]] = [
    (None, "there is no token"),
    ("", "the token is empty"),
    (" \n", "the token is empty"),
    ("two words", "the token has a space, a line break or another character in it"),
    ("t\u00e9", "the token has a space, a line break or another character in it"),
    ("Bearer t1", "the token begins with the word Bearer"),
    ("bearer\tt1", "the token begins with the word Bearer"),
    ("BEARER ", "the token begins with the word Bearer"),
    (lambda: None, "there is no token"),
    (lambda: "", "what the token function returned is empty"),
    (lambda: "Bearer t1", "what the token function returned begins with the word Bearer"),
    (lambda: b"t1", "what the token function returned is a bytes, and must be a string"),
]


@pytest.mark.parametrize(("token", "problem"), NO_TOKENS)
async def test_without_a_token_nothing_is_sent(token: Any, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURIER_TOKEN", raising=False)
    async with CourierClient("http://127.0.0.1:1", token=token) as client:
        with pytest.raises(UnauthorizedError, match=f"^{problem}.*COURIER_TOKEN"):
            await client.publish("backtest.b1", "backtest.progress", PROGRESS)
        with pytest.raises(UnauthorizedError, match=f"^{problem}"):
            await anext(client.subscribe("**", on_gap="fail"))
    with SyncCourierClient("http://127.0.0.1:1", token=token) as sync:
        with pytest.raises(UnauthorizedError, match=f"^{problem}"):
            await asyncio.to_thread(sync.history, "**")


async def test_a_token_function_that_hangs_times_out() -> None:
    async def token() -> str:
        await asyncio.Event().wait()
        return "t1"

    async with CourierClient("http://127.0.0.1:1", token=token, timeout=0.05, give_up_after=0.1) as client:
        with pytest.raises(UnavailableError):
            await client.publish("backtest.b1", "backtest.progress", PROGRESS)
        with pytest.raises(UnavailableError) as caught:
            await anext(client.subscribe("**", on_gap="fail"))
        assert caught.value.code == "TOKEN_UNAVAILABLE"


async def test_a_closed_client_raises() -> None:
    client = CourierClient(token="t1")
    await client.aclose()
    await client.aclose()
    with pytest.raises(ClosedError):
        await client.publish("backtest.b1", "backtest.progress", PROGRESS)
    with pytest.raises(ClosedError):
        client.subscribe("**", on_gap="fail")


def test_errors_survive_pickling() -> None:
    error = RateLimitedError("TOO_MANY_REQUESTS", "too much", retry_after=1.5, request_id="r1")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 (this test pickled it)
    assert isinstance(again, RateLimitedError)
    assert (again.code, again.retry_after, str(again)) == (error.code, 1.5, str(error))
    assert isinstance(again, CourierError)
    assert again.retryable
