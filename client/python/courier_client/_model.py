"""The base class and the field types of the generated models."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
)


class Model(BaseModel):
    """An immutable model that refuses unknown fields, and numbers that JSON has no form for.

    A received event may have fields that a later version of Courier added: they are in `model_extra`.
    """

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
        return {**write(self), **(self.model_extra or {})}


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
