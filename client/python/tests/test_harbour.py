"""The client with a gateway that serves the contract of a port, and the module that the command line writes of it."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from courier_client import CourierClient, InvalidInputError, SyncCourierClient
from processes import NODE, REPOSITORY, Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTRACT = str(REPOSITORY / "test" / "harbour" / "contract.ts")


def export(form: str) -> str:
    command = [NODE, str(REPOSITORY / "scripts" / "courier.ts"), "contract", "export", "--contract", CONTRACT]
    return subprocess.run([*command, "--format", form], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The contract for machines."""
    parsed: dict[str, Any] = json.loads(export("json-schema"))
    return parsed


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The module of the contract, as another project would have it."""
    folder = tmp_path_factory.mktemp("harbour")
    (folder / "harbour.py").write_text(export("python"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield importlib.import_module("harbour")
        patch.delitem(sys.modules, "harbour")


@pytest.fixture(scope="module")
def port() -> Iterator[Gateway]:
    with Gateway(COURIER_CONTRACT=CONTRACT) as gateway:
        yield gateway


def drafts(document: dict[str, Any], families: dict[str, dict[str, Any]]) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Service, channel, type and data of the first example of each type."""
    found = []
    for service, types in document["x-services"].items():
        for kind in types:
            data: dict[str, Any] = document["x-types"][kind]["examples"][0]
            homes = [family for family in families.values() if kind in family["types"] and family.get("id") in data]
            channel = homes[0]["form"].replace("{id}", data[homes[0]["id"]]) if homes else "global"
            found.append((service, channel, kind, data))
    return found


def client_of(port: Gateway, harbour: Any, sub: str) -> Any:
    """A client whose types are those of a module that no type checker has seen."""
    return CourierClient(port.url, token=port.token(sub), contract=harbour)


async def test_every_type_is_published_followed_and_read_back(
    port: Gateway, harbour: Any, document: dict[str, Any]
) -> None:
    wanted = drafts(document, document["x-channels"])
    assert len(wanted) == 10
    async with client_of(port, harbour, "reader") as reader:
        for service, channel, kind, data in wanted:
            async with client_of(port, harbour, service) as client:
                await client.publish(channel, kind, data)
        followed = []
        async for event in reader.subscribe("**", from_="earliest", on_gap="fail"):
            followed.append(event)
            if len(followed) == len(wanted):
                break
        page = await reader.history("**")
    assert tuple(followed) == page.events
    assert [(event.metadata.source, str(event.channel), event.type) for event in followed] == [
        (service, channel, kind) for service, channel, kind, _ in wanted
    ]
    for event, (_, _, kind, data) in zip(followed, wanted, strict=True):
        assert type(event) is harbour.EVENTS[kind]
        assert event.data == type(event.data).model_validate(data)


def test_a_builder_names_the_field_and_a_wrong_channel_what_would_be_right(port: Gateway, harbour: Any) -> None:
    opened: Any = SyncCourierClient(port.url, token=port.token("pilotage"), contract=harbour)
    with opened as client:
        receipt = client.publish_event(harbour.vessel_approaching(imo="9074729", way=0.5))
        assert receipt.channel == "vessel.9074729"
        with pytest.raises(InvalidInputError, match="way"):
            harbour.vessel_approaching(imo="9074729", way="half")
        with pytest.raises(InvalidInputError, match=r"vessel\.\{id\}"):
            client.publish("vesel.9074729", "vessel.approaching", {"imo": "9074729", "way": 0.5})
