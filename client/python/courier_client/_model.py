"""The base class and the field types of the generated models."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class Nullable:
    """Marks a field that may be null on the wire, where `None` otherwise means that the field is absent."""


NULLABLE = Nullable()


class Model(BaseModel, frozen=True):
    """An immutable model that refuses unknown fields, and numbers that JSON has no form for.

    A received event may have fields that a later version of Courier added: they are in `model_extra`.
    """

    nullable_fields_: ClassVar[dict[str, str]] = {}
    """The fields that may be null, by their name in Python, with their name on the wire."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
    )

    @model_serializer(mode="wrap")
    def _with_extra(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        nulls = {
            wire: None
            for name, wire in self.nullable_fields_.items()
            if name in self.model_fields_set and getattr(self, name) is None
        }
        return {**nulls, **write(self), **(self.model_extra or {})}

    @classmethod
    def __pydantic_init_subclass__(cls, **_options: Any) -> None:
        fields = cls.model_fields.items()
        cls.nullable_fields_ = {name: field.alias or name for name, field in fields if NULLABLE in field.metadata}


def _exact(form: re.Pattern[str]) -> BeforeValidator:
    def read(value: Any) -> Decimal:
        if isinstance(value, float):
            message = "a float is not exact: give a str or a Decimal"
            raise ValueError(message)  # noqa: TRY004 (pydantic reports this kind only)
        text = format(value, "f") if isinstance(value, Decimal) else str(value)
        if isinstance(value, bool) or form.fullmatch(text) is None:
            message = f"must be a decimal number such as 12.50, and match {form.pattern}"
            raise ValueError(message)
        return Decimal(text)

    return BeforeValidator(read)


DECIMAL = r"^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$"
POSITIVE_DECIMAL = r"^(?=.*[1-9])(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$"

_as_string = PlainSerializer(lambda value: format(value, "f"), return_type=str, when_used="json")

ExactDecimal = Annotated[
    Decimal,
    _exact(re.compile(DECIMAL)),
    _as_string,
    WithJsonSchema({"type": "string", "pattern": DECIMAL}),
]
"""A decimal number, exact: a string on the wire. Takes a Decimal, an int or a str, and refuses a float."""

PositiveDecimal = Annotated[
    Decimal,
    _exact(re.compile(POSITIVE_DECIMAL)),
    _as_string,
    WithJsonSchema({"type": "string", "pattern": POSITIVE_DECIMAL}),
]
"""An ExactDecimal above 0."""


def _in_utc(instant: datetime) -> str:
    return instant.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


Instant = Annotated[AwareDatetime, PlainSerializer(_in_utc, return_type=str, when_used="json")]
"""A date and time with a time zone; in UTC on the wire."""


class _Matching:
    """Checks a string with a pattern that pydantic's own engine cannot read as the gateway does."""

    def __init__(self, pattern: str, said: str) -> None:
        self._form = re.compile(pattern, re.ASCII)
        self._said = said

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": self._said}

    def _checked(self, value: str) -> str:
        if self._form.search(value) is None:
            message = f"must match {self._said}"
            raise ValueError(message)
        return value


def matching(pattern: str, said: str) -> Any:
    """An annotation that checks a string with `pattern`. `said` is the contract's pattern, in JavaScript."""
    return _Matching(pattern, said)


def one_of(*values: Any) -> BeforeValidator:
    """Accepts these values of JSON only, where `Literal` cannot list them."""
    texts = {json.dumps(value, sort_keys=True) for value in values}

    def check(value: Any) -> Any:
        if json.dumps(value, sort_keys=True, default=repr) not in texts:
            message = f"must be one of {', '.join(map(repr, values))}"
            raise ValueError(message)
        return value

    return BeforeValidator(check)
