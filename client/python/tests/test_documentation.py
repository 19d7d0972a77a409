"""The examples, and the scripts of the README, do what they say."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from courier_client import CourierClient, events
from processes import REPOSITORY, Gateway
from waiting import until

FOLDER = REPOSITORY / "client" / "python"
README = (FOLDER / "README.md").read_text("utf-8")
SCRIPTS = [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "import" in block]
PRINTS = [
    r"\S+-\d+ \d{4}-\d\d-\d\d .*\n",
    r"4 0 0 0\n",
    r"(b1 is at \d+%\n)+b1 made 25%\n",
    r"(\S+-\d+ backtest\.progress\n){2}\S+-\d+ backtest\.completed\n",
    r"\d+ \S+-\d+ (True|False)\n\d+ \d+\n(\S+-\d+ backtest\.\w+\n)+",
    r"(\S+-\d+ backtest_id='b1' .*\n)+",
]


@pytest.fixture
def gateway(start_gateway: Callable[[], Gateway], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gateway:
    """A gateway whose only events are those of the test. The environment leads the examples to it."""
    gateway = start_gateway()
    monkeypatch.setenv("COURIER_URL", gateway.url)
    monkeypatch.setenv("COURIER_TOKEN", gateway.token())
    monkeypatch.chdir(tmp_path)
    return gateway


async def test_the_scripts_of_the_readme(gateway: Gateway) -> None:
    async with CourierClient(gateway.url) as client:
        metrics = {"total_return": 0.25, "max_drawdown": 0.1, "trades": 42}
        for progress in (0.25, 0.5):
            await client.publish_event(events.backtest_progress(backtest_id="b1", progress=progress))
        await client.publish_event(events.backtest_completed(backtest_id="b1", metrics=metrics))
    printed = await asyncio.gather(*(asyncio.to_thread(run_script, script, gateway.url) for script in SCRIPTS))
    for prints, shown in zip(PRINTS, printed, strict=True):
        assert re.fullmatch(prints, shown), shown


def run_script(script: str, url: str) -> str:
    """Runs the script, and returns what it prints."""
    # The script names the default address, on which the tests must not depend.
    here = script.replace('"http://localhost:8766"', repr(url))
    here = re.sub(r"CourierClient\((?=\)|service_name)", rf"CourierClient({url!r}, ", here)
    ran = subprocess.run([sys.executable, "-c", here], capture_output=True, text=True, timeout=30, check=False)
    return ran.stdout + ran.stderr


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_prophet_and_cartographe(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        async with client.subscribe("backtest.bt_strat_abc", on_gap="fail") as subscription:
            cartographe = asyncio.ensure_future(example("cartographe").main())
            await until((tmp_path / "cartographe.position").exists)
            monkeypatch.setenv("COURIER_TOKEN", gateway.token("prophet"))
            await example("prophet").main()
            assert capsys.readouterr().out == "6 published, 0 dropped, 0 refused\n"
            started, completed = await anext(subscription), await anext(subscription)
            cartographe.cancel()
            await asyncio.wait([cartographe])
    assert isinstance(started, events.BacktestStartedEvent)
    assert isinstance(completed, events.BacktestCompletedEvent)
    assert completed.data.strategy_id == "strat_abc"
