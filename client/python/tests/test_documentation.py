"""The examples, and the scripts of the README, do what they say."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from courier_client import CourierClient, events
from processes import NODE, REPOSITORY, Gateway
from waiting import until

PYRIGHT = str(REPOSITORY / "node_modules" / "pyright" / "index.js")
FOLDER = REPOSITORY / "client" / "python"


def blocks(document: Path) -> list[str]:
    """The Python that the document shows."""
    return re.findall(r"```python\n(.*?)```", document.read_text("utf-8"), re.DOTALL)


SCRIPTS = [block for block in blocks(FOLDER / "README.md") if "import" in block]
FRAGMENTS = [block for block in blocks(FOLDER / "README.md") if block not in SCRIPTS]
(FIRST,) = blocks(REPOSITORY / "README.md")
PRINTS = [
    r"\S+-\d+ \d{4}-\d\d-\d\d .*\n",
    r"4 0 0 0\n",
    r"(b1 is at \d+%\n)+b1 made 25%\n",
    r"(\S+-\d+ backtest\.progress\n){2}\S+-\d+ backtest\.completed\n",
    r"backtest\.b1 backtest\.progress None\nuser\.ada backtest\.progress \d+\.\d\n",
    r"(b1 is at \d+%\n)*b1 is completed, one of 1\n",
    r"\d+ \S+-\d+ (True|False)\n\d+ \d+\n(\S+-\d+ backtest\.\w+\n)+",
    r"(\S+-\d+ backtest_id='b1' .*\n)+b1 (True|False)\n(b1 (True|False)\n)*",
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


async def test_the_script_of_the_first_readme(gateway: Gateway) -> None:
    assert "http://127.0.0.1:8766" in FIRST
    script = FIRST.replace("http://127.0.0.1:8766", gateway.url)
    environment = {**os.environ, "COURIER_TOKEN": gateway.token("me", "admin")}
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-c", script, stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert program.stdout is not None
    try:
        printed = asyncio.ensure_future(program.stdout.readline())
        async with CourierClient(gateway.url) as client:

            async def has_printed() -> bool:
                # The script hears what is published once it has subscribed.
                await client.publish_event(events.backtest_progress(backtest_id="b1", progress=0.5))
                return printed.done()

            await until(has_printed)
            stored = await client.history("user.123")
        assert re.fullmatch(rb"backtest\.progress backtest_id='b1' progress=0\.5 .*\n", await printed)
        assert [event.type for event in stored.events] == ["strategy.generation.started"]
    finally:
        program.kill()
        await program.communicate()


def test_type_checkers_accept_the_readmes(tmp_path: Path) -> None:
    made, awaited = FRAGMENTS
    imports = "import shop\nfrom courier_client import BackgroundPublisher, CourierClient, SyncCourierClient\n"
    main = f"async def main() -> None:\n{textwrap.indent(made + awaited, '    ')}"
    for number, source in enumerate([*SCRIPTS, FIRST, imports + main]):
        (tmp_path / f"block_{number}.py").write_text(source, "utf-8")
    settings = {"extraPaths": [str(FOLDER), str(FOLDER / "tests")]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    for checker in (
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *map(str, tmp_path.glob("*.py"))],
        [NODE, PYRIGHT, "--pythonpath", sys.executable, "--project", str(tmp_path)],
    ):
        ran = subprocess.run(checker, cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def run_script(script: str, url: str) -> str:
    """Runs the script, and returns what it prints."""
    # The script names the default address, on which the tests must not depend.
    here = script.replace('"http://localhost:8766"', repr(url))
    here = re.sub(r"CourierClient\((?=\)|service_name)", rf"CourierClient({url!r}, ", here)
    ran = subprocess.run([sys.executable, "-c", here], capture_output=True, text=True, timeout=60, check=False)
    return ran.stdout + ran.stderr


@asynccontextmanager
async def example(name: str, token: str, *arguments: str) -> AsyncIterator[Demo]:
    """Runs an example as the demo does, until the demo goes."""
    ours, theirs = socket.socketpair()
    with theirs:
        program = await asyncio.create_subprocess_exec(
            sys.executable,
            str(FOLDER / "examples" / f"{name}.py"),
            *arguments,
            env={**os.environ, "COURIER_TOKEN": token, "NODE_CHANNEL_FD": str(theirs.fileno())},
            pass_fds=[theirs.fileno()],
        )
    try:
        reader, writer = await asyncio.open_connection(sock=ours)
        demo = Demo(reader, writer)
        assert await demo.hear() == {"kind": "ready"}
        yield demo
        writer.close()
        await writer.wait_closed()
        assert await asyncio.wait_for(program.wait(), timeout=20) == 0
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()


class Demo:
    """The demo's end of the channel to an example."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def hear(self) -> object:
        return json.loads(await asyncio.wait_for(self._reader.readline(), timeout=20))

    async def count(self) -> object:
        self._writer.write(b'{"kind":"count"}\n')
        return await self.hear()


async def test_prophet_and_cartographe(gateway: Gateway) -> None:
    bars = REPOSITORY / "node_modules" / "vega-datasets" / "data" / "sp500-2000.csv"
    async with CourierClient(gateway.url, token=gateway.token("forge")) as client:
        async with (
            client.subscribe("backtest.*", types=["backtest.completed", "backtest.failed"], on_gap="fail") as backtests,
            example("cartographe", gateway.token("cartographe"), str(bars)) as cartographe,
            example("prophet", gateway.token("prophet")) as prophet,
        ):
            for job_id in ("research-long", "research-short"):
                await client.publish_event(events.forge_job_started(job_id=job_id, kind="strategy research"))
            first, *others = [await anext(backtests) for _ in range(5)]
            # Of six strategies, of which one makes no sense and one cannot be tested.
            assert await prophet.count() == {"kind": "counted", "acknowledged": 18}
            assert await cartographe.count() == {"kind": "counted", "acknowledged": 30}
            trace = await client.trace(id=others[-1].id)
    assert isinstance(first, events.BacktestFailedEvent)
    assert first.data.message == "a window of 6000 bars needs more than the 5105 there are"
    best = others[-1]
    assert isinstance(best, events.BacktestCompletedEvent)
    assert (best.data.strategy_id, best.data.metrics.total_return, best.data.metrics.trades) == (
        "sma-50-200",
        1.7383,
        10,
    )
    by_id = {step.event.id: step.event for step in trace.steps}
    strategy = by_id[best.metadata.causation_id or ""]
    assert isinstance(strategy, events.StrategyGenerationCompletedEvent)
    assert strategy.data.strategy_id == "sma-50-200"
    job = by_id[strategy.metadata.causation_id or ""]
    assert isinstance(job, events.ForgeJobStartedEvent)
    assert best.metadata.correlation_id == strategy.metadata.correlation_id == trace.correlation_id == job.id
