"""Writes models.py, the models of the data and the metadata, with datamodel-code-generator."""

from __future__ import annotations

import copy
import json
import sys
import warnings

from datamodel_code_generator import InputFileType, PythonVersion, generate
from datamodel_code_generator.enums import DataModelType
from datamodel_code_generator.format import DatetimeClassType, Formatter
from datamodel_code_generator.parser import LiteralType

from contract import DECIMALS, GENERATED, Contract, Schema, nested_model


def models_source(contract: Contract) -> str:
    """The source of models.py."""
    definitions: dict[str, Schema] = {}
    for event in [*contract.events, *contract.notices]:
        schema = prepared(event.data)
        if event in contract.notices:
            for field in schema["properties"].values():
                # A later gateway may send other values in a notice, and this version must read them.
                field.pop("enum", None)
        for name, nested in schema["properties"].items():
            if "properties" in nested:
                definitions[nested_model(event, name)] = nested
                schema["properties"][name] = {"$ref": f"#/$defs/{nested_model(event, name)}"}
        definitions[event.model] = {**schema, "description": f"Data of `{event.name}`."}
    definitions["EventMetadata"] = {
        **prepared(contract.metadata),
        "description": "The metadata of every event.",
    }
    with warnings.catch_warnings():
        # The generator warns of a constraint that the models cannot express: that is an error.
        warnings.simplefilter("error", UserWarning)
        source = generate(
            json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": definitions}),
            input_file_type=InputFileType.JsonSchema,
            output_model_type=DataModelType.PydanticV2BaseModel,
            target_python_version=PythonVersion.PY_310,
            base_class="courier_client._model.Model",
            custom_file_header=f'"""Models of the data of every event type, and of the metadata.\n\n{GENERATED}\n"""\n',
            use_annotated=True,
            field_constraints=True,
            enum_field_as_literal=LiteralType.All,
            use_union_operator=True,
            use_standard_collections=True,
            use_schema_description=True,
            use_field_description=True,
            use_inline_field_description=True,
            use_single_line_docstring=True,
            use_double_quotes=True,
            use_type_alias=True,
            output_datetime_class=DatetimeClassType.Awaredatetime,
            skip_root_model=True,
            formatters=[Formatter.BUILTIN],
        )
    if not isinstance(source, str):
        sys.exit("generate: the models did not come in one module")
    # The generator does not know that pydantic handles the types of decimals itself.
    return source.replace("    model_config = ConfigDict(\n        arbitrary_types_allowed=True,\n    )\n", "")


def prepared(schema: Schema) -> Schema:
    """A copy of the schema in the form that the model generator reads."""
    result = copy.deepcopy(schema)
    result.pop("additionalProperties", None)
    for name, field in result["properties"].items():
        if "properties" in field:
            result["properties"][name] = prepared(field)
        elif field.get("pattern") in DECIMALS:
            type_path = f"courier_client._model.{DECIMALS[field['pattern']]}"
            result["properties"][name] = {
                "type": "string",
                "customTypePath": type_path,
                "description": field.get("description", ""),
            }
        elif field.get("format") in {"date", "date-time"}:
            del field["pattern"]
    return result
