"""The fixtures: real gateways and the scripted server, each in its own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from courier_client import Backoff
from processes import Gateway, ScriptedServer

FAST = Backoff(initial=0.002, maximum=0.02, busy=0.002)
"""Delays so short that tests do not wait for them."""


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    """A gateway that all tests share, each on its own channels. Users may publish once a second."""
    with Gateway(COURIER_LIMITS='{"user": {"publishPerSecond": 1}}') as gateway:
        yield gateway


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Starts gateways for one test, one after another, on one log."""
    gateways: list[Gateway] = []

    def start(port: int = 0) -> Gateway:
        gateways.append(Gateway(log=f"sqlite:{tmp_path / 'courier.db'}", port=port))
        return gateways[-1]

    yield start
    for gateway in gateways:
        gateway.kill()


@pytest.fixture(scope="session")
def scripted_server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server
