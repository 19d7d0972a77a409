"""Cursors: when positions are saved, and where a subscription resumes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import FAST
from courier_client import CourierClient, CursorError, FileCursor, InvalidInputError, events
from processes import Gateway
from waiting import until

SYNCS = 1 if os.name == "nt" else 2
"""Of each position that is synced: the file, and the name that it is renamed to."""


class MemoryCursor:
    """Records what was saved."""

    def __init__(self, position: str | None = None) -> None:
        self.saved: list[str] = []
        self._position = position

    def load(self) -> str | None:
        return self.saved[-1] if self.saved else self._position

    def save(self, position: str, /) -> None:
        self.saved.append(position)


async def publish(client: CourierClient, backtest_id: str, times: int) -> list[str]:
    drafts = [events.backtest_progress(backtest_id=backtest_id, progress=0.5) for _ in range(times)]
    return [(await client.publish_event(draft)).id for draft in drafts]


async def test_a_position_is_saved_when_the_next_event_is_asked_for(gateway: Gateway) -> None:
    cursor = MemoryCursor()
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        async with client.subscribe("backtest.done", on_gap="fail", cursor=cursor) as subscription:
            # The starting position is saved too, so that events published before the next start are not missed.
            assert len(cursor.saved) == 1
            first, second, third = await publish(client, "done", 3)
            assert (await anext(subscription)).id == first
            assert cursor.saved[1:] == []
            assert (await anext(subscription)).id == second
            assert cursor.saved[1:] == [first]
        # The event whose position was not saved comes again.
        async with client.subscribe("backtest.done", on_gap="fail", cursor=cursor) as subscription:
            assert (await anext(subscription)).id == second
            await subscription.commit()
            assert cursor.saved[1:] == [first, second]
            await subscription.commit()
            assert cursor.saved[1:] == [first, second]
        async with client.subscribe("backtest.done", on_gap="fail", cursor=cursor) as subscription:
            assert (await anext(subscription)).id == third


async def test_the_cursor_of_a_quiet_subscription_advances_before_the_gateway_drains(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway()
    cursor = MemoryCursor()
    async with CourierClient(gateway.url, token=gateway.token(), retry=FAST) as client:
        async with client.subscribe("backtest.quiet", on_gap="fail", cursor=cursor) as subscription:
            waiting = asyncio.ensure_future(anext(subscription))
            last = (await publish(client, "busy", 3))[-1]
            gateway.drain()
            await until(lambda: cursor.saved[-1] == last)
            waiting.cancel()


async def test_last_event_id_takes_precedence_over_the_cursor(gateway: Gateway) -> None:
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        first, second, third = await publish(client, "given", 3)
        cursor = MemoryCursor(second)
        async with client.subscribe("backtest.given", on_gap="fail", cursor=cursor) as subscription:
            assert (await anext(subscription)).id == third
        subscription = client.subscribe("backtest.given", last_event_id=first, on_gap="fail", cursor=cursor)
        async with subscription:
            assert (await anext(subscription)).id == second


async def test_a_file_keeps_the_position(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "position"
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        async with client.subscribe("backtest.file", on_gap="fail", cursor=FileCursor(path)) as subscription:
            first, second = await publish(client, "file", 2)
            assert (await anext(subscription)).id == first
            waiting = asyncio.ensure_future(anext(subscription))
            assert (await waiting).id == second
        assert path.read_text().strip() == first
        async with client.subscribe("backtest.file", on_gap="fail", cursor=FileCursor(path)) as subscription:
            assert (await anext(subscription)).id == second
    # No temporary file is left.
    assert [*tmp_path.iterdir()] == [path]


async def test_a_file_cursor_makes_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "no" / "such" / "folder" / "position"
    cursor = FileCursor(path)
    assert await cursor.load() is None
    await cursor.save("e1-1")
    assert path.read_text().strip() == "e1-1"


@pytest.mark.parametrize("content", [b"", b"yesterday", b"e1-1\ne1-2", b"\xff\xfe"])
def test_a_file_without_a_position_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "position"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"^path '.*position' holds no position"):
        FileCursor(path)


def test_a_place_where_nobody_may_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "position", "/proc/courier.position", tmp_path, "nul\0", 5):
        with pytest.raises(InvalidInputError) as caught:
            FileCursor(path)  # type: ignore[arg-type]
        assert [issue.path for issue in caught.value.issues] == ["path"]
    for wrong in (-1, float("nan"), "1", True):
        with pytest.raises(InvalidInputError, match="sync_every"):
            FileCursor(tmp_path / "position", sync_every=wrong)  # type: ignore[arg-type]


async def test_positions_are_synced_once_in_an_interval_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    path = tmp_path / "position"
    cursor = FileCursor(path, sync_every=3600)
    for number in range(1, 1001):
        await cursor.save(f"e1-{number}")
        # After a crash of the process, nothing comes again that was handled.
        assert await FileCursor(path).load() == f"e1-{number}"
    assert len(synced) == SYNCS
    await cursor.flush()
    await cursor.flush()
    assert len(synced) == 2 * SYNCS
    assert [*tmp_path.iterdir()] == [path]
    for number in range(10):
        await FileCursor(path, sync_every=0).save(f"e2-{number}")
    assert len(synced) == 12 * SYNCS


@pytest.mark.parametrize("how", ["removed", "short"])
async def test_a_file_that_somebody_else_changes_is_made_again(how: str, tmp_path: Path) -> None:
    path = tmp_path / "position"
    cursor = FileCursor(path)
    await cursor.save("e1-1")
    path.unlink()
    if how == "short":
        path.write_text("e1-1\n")
    await cursor.save("e1-12345")
    assert await FileCursor(path).load() == "e1-12345"


async def test_the_end_of_a_subscription_syncs_what_was_handled(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    path = tmp_path / "position"
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        cursor = FileCursor(path, sync_every=None)
        async with client.subscribe("backtest.end", cursor=cursor) as subscription:
            first, second, third = await publish(client, "end", 3)
            for position in (first, second, third):
                assert (await anext(subscription)).id == position
            assert subscription.last_event_id == second
            assert await cursor.load() == second
            before = len(synced)
        assert len(synced) == before + SYNCS
        assert await cursor.load() == second
        async with client.subscribe("backtest.end", cursor=cursor) as subscription:
            assert (await anext(subscription)).id == third
            before = len(synced)
            await subscription.commit()
            assert len(synced) == before + SYNCS
            assert subscription.last_event_id == third
            assert await cursor.load() == third


async def test_the_old_position_stays_until_the_new_one_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = FileCursor(tmp_path / "position", sync_every=0)
    await cursor.save("e1-1")

    def full_disk(_handle: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(CursorError, match="no space") as caught:
        await cursor.save("e1-2")
    assert (caught.value.code, caught.value.retryable) == ("CURSOR_UNAVAILABLE", True)
    assert (tmp_path / "position").read_text().strip() == "e1-1"
    assert len([*tmp_path.iterdir()]) == 1


async def test_a_cursor_that_fails_ends_the_subscription_and_loses_nothing(gateway: Gateway) -> None:
    class Broken(MemoryCursor):
        def save(self, position: str, /) -> None:
            if len(self.saved) == 1:
                raise OSError("the database is away")
            super().save(position)

    cursor = Broken()
    async with CourierClient(gateway.url, token=gateway.token()) as client:
        async with client.subscribe("backtest.broken", on_gap="fail", cursor=cursor) as subscription:
            first, _ = await publish(client, "broken", 2)
            assert (await anext(subscription)).id == first
            with pytest.raises(OSError, match="the database is away"):
                await anext(subscription)
        async with client.subscribe("backtest.broken", on_gap="fail", cursor=MemoryCursor(cursor.load())) as again:
            assert (await anext(again)).id == first


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes with names")
def test_a_pipe_is_no_file_of_a_cursor(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "position")
    with pytest.raises(InvalidInputError, match="is no file"):
        FileCursor(tmp_path / "position")
