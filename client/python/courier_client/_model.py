"""The base class and the field types of the generated models."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    WithJsonSchema,
    model_serializer,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from ._instant import TOO_FINE, instant_text


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
        cls.nullable_fields_ = {
            name: name if field.alias is None else field.alias for name, field in fields if NULLABLE in field.metadata
        }


def _refusal(message: str) -> PydanticCustomError:
    """The error that pydantic reports in exactly these words."""
    return PydanticCustomError("refused", "{message}", {"message": message})


def _exact(form: re.Pattern[str]) -> BeforeValidator:
    def read(value: Any) -> Decimal:
        if isinstance(value, float):
            raise _refusal("a float is not exact: give a str or a Decimal")
        text = format(value, "f") if isinstance(value, Decimal) else str(value)
        if isinstance(value, bool) or form.fullmatch(text) is None:
            raise _refusal(f"must be a decimal number such as 12.50, and match {form.pattern}")
        return Decimal(text)

    return BeforeValidator(read)


DECIMAL = r"^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$"
TOTAL_DECIMAL = r"^-?(0|[1-9][0-9]{0,39})(\.[0-9]{1,18})?$"
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

TotalDecimal = Annotated[
    Decimal,
    _exact(re.compile(TOTAL_DECIMAL)),
    _as_string,
    WithJsonSchema({"type": "string", "pattern": TOTAL_DECIMAL}),
]
"""A sum of ExactDecimals, exact: of up to 58 digits, where the default context of `decimal` calculates with 28."""


AS_RECEIVED: Mapping[str, Any] = MappingProxyType({"received": True})
"""The context in which what the gateway sent is read: with the digits of instants that a datetime has no room for."""
_CUT = re.compile(r"\.\d{6}\d*[1-9]")


def _uncut(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str) and info.context is not AS_RECEIVED and _CUT.search(value) is not None:
        raise _refusal(TOO_FINE)
    return value


def _within_years(instant: datetime) -> datetime:
    try:
        instant_text(instant)
    except ValueError as error:
        raise _refusal(str(error)) from error
    return instant


Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_uncut),
    AfterValidator(_within_years),
    PlainSerializer(instant_text, return_type=str, when_used="json"),
]
"""A date and time with a time zone; in UTC on the wire, with milliseconds, or microseconds where there are any."""


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
        if self._form.search(value) is None and self._form.search(_in_halves(value)) is None:
            raise _refusal(f"must match {self._said}")
        return value


def _in_halves(text: str) -> str:
    """The text as a pattern without the flag `u` sees it: a character beyond U+FFFF is two.

    The contract does not tell the flag.
    """
    if text.isascii():
        return text
    units = text.encode("utf-16-le", "surrogatepass")
    return "".join(chr(int.from_bytes(units[at : at + 2], "little")) for at in range(0, len(units), 2))


def matching(pattern: str, said: str) -> Any:
    """An annotation that checks a string with `pattern`. `said` is the contract's pattern, in JavaScript."""
    return _Matching(pattern, said)


class _MultipleOf:
    """Checks a number with the tolerance of the gateway: 0.3 is a multiple of 0.1, although neither is exact."""

    def __init__(self, step: float) -> None:
        self._step = step

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "multipleOf": self._step}

    def _checked(self, value: float) -> float:
        ratio = value / self._step
        # The tolerance of zod 4: `floatSafeRemainder`.
        tolerance = 4 * sys.float_info.epsilon * max(abs(ratio), 1)
        if not math.isfinite(ratio) or abs(ratio - round(ratio)) >= tolerance:
            raise _refusal(f"must be a multiple of {self._step}")
        return value


def multiple_of(step: float) -> Any:
    """An annotation that checks that a number is a multiple of `step`."""
    return _MultipleOf(step)


def one_of(*values: Any) -> BeforeValidator:
    """Accepts these values of JSON only, where `Literal` cannot list them."""
    texts = {json.dumps(value, sort_keys=True) for value in values}

    def check(value: Any) -> Any:
        if json.dumps(value, sort_keys=True, default=repr) not in texts:
            raise _refusal(f"must be one of {', '.join(map(repr, values))}")
        return value

    return BeforeValidator(check)
