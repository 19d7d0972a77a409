"""Writes the module of the event classes, and of a builder for each type."""

from __future__ import annotations

import json
from typing import NamedTuple

from contract import DECIMALS, GENERATED, Contract, EventType, Schema, nested_model


class Parameter(NamedTuple):
    """A keyword argument of a builder."""

    name: str
    annotation: str
    required: bool
    description: str

    @property
    def source(self) -> str:
        return f"{self.name}: {self.annotation}" if self.required else f"{self.name}: {self.annotation} | None = None"


def events_source(contract: Contract) -> str:
    """The source of events.py: the event classes and the builders."""
    classes = "\n".join(event_class(event) for event in [*contract.events, *contract.notices])
    builders = "\n".join(builder(contract, event) for event in contract.events)
    union = " | ".join([*(event.event for event in contract.events), "GenericEvent"])
    by_type = "\n".join(f'    "{event.name}": {event.event},' for event in contract.events)
    return f'''"""Events: for each type a class, which subscribers receive, and a builder, which makes a draft.

A builder checks the fields, and knows the channel of its events unless `channel` names another. It
takes `EventOptions`, and raises InvalidInputError, whose `issues` name the fields.

{GENERATED}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from typing_extensions import Unpack

from . import models
from .envelope import Event, EventDraft, GenericEvent, channel_of, checked
from .options import EventOptions

CONTRACT_HASH = "{contract.hash}"
"""The hash of the contract that this module was generated from. A gateway sends the hash of its own."""

{classes}

AnyEvent = {union}
"""Every event that a subscription gives is one of these."""

EVENTS: Mapping[str, type[Event[Any]]] = {{
{by_type}
}}
"""The class of each event type."""

{builders}
'''


def event_class(event: EventType) -> str:
    return f"""
class {event.event}(Event[models.{event.model}]):
    type: Literal["{event.name}"]
"""


def builder(contract: Contract, event: EventType) -> str:
    form, id_field = contract.home_of(event)
    fields = [parameter(event, name, schema) for name, schema in event.data["properties"].items()]
    fields.sort(key=lambda field: not field.required)
    names = [field.name for field in fields]
    extra = [] if id_field in names else [Parameter(id_field, "str", required=False, description="Names the channel.")]
    parameters = [*fields, *extra, Parameter("channel", "str", required=False, description="")]
    described = "".join(
        f"        {parameter.name}: {parameter.description}\n"
        for parameter in [*fields, *extra]
        if parameter.description
    )
    needs = "" if id_field in event.data["required"] else f" `{id_field}` or `channel` is required."
    return f'''
def {event.snake}(
    *,
    {", ".join(parameter.source for parameter in parameters)},
    **options: Unpack[EventOptions],
) -> EventDraft[models.{event.model}]:
    """Makes a draft of `{event.name}`, on `{form}` unless `channel` names another.{needs}

    Args:
{described}    """
    data = checked(
        models.{event.model},
        {{{", ".join(f'"{name}": {name}' for name in names)}}},
    )
    return EventDraft(
        channel=channel_of(channel, "{form}", {id_field}),
        type="{event.name}",
        data=data,
        **options,
    )
'''


def parameter(event: EventType, name: str, schema: Schema) -> Parameter:
    python_name = f"{name}_" if name == "from" else name
    required = name in event.data["required"]
    return Parameter(python_name, annotation_of(event, name, schema), required, schema.get("description", ""))


def annotation_of(event: EventType, name: str, schema: Schema) -> str:
    if schema.get("pattern") in DECIMALS:
        return "Decimal | str | int"
    if schema.get("format") == "date":
        return "date"
    if "enum" in schema:
        return f"Literal[{', '.join(json.dumps(value) for value in schema['enum'])}]"
    if "properties" in schema:
        return f"models.{nested_model(event, name)} | Mapping[str, Any]"
    if schema["type"] == "array":
        return f"Sequence[{annotation_of(event, name, schema['items'])}]"
    simple = {
        "string": "str",
        "number": "float",
        "integer": "int",
        "boolean": "bool",
        "object": "Mapping[str, Any]",
    }
    return simple[schema["type"]]
