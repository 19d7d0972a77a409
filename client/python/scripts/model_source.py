"""Writes the module of the data models, with datamodel-code-generator."""

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
    """The module of the data models."""
    definitions: dict[str, Schema] = {}
    for event in [*contract.events, *contract.notices]:
        schema = prepared(event.data)
        if event in contract.notices:
            for field in schema["properties"].values():
                # A notice of a later Courier must be understood, whatever it says.
                field.pop("enum", None)
        for name, nested in schema["properties"].items():
            if "properties" in nested:
                definitions[nested_model(event, name)] = nested
                schema["properties"][name] = {"$ref": f"#/$defs/{nested_model(event, name)}"}
        definitions[event.model] = {**schema, "description": f"Data of `{event.name}`."}
    definitions["EventMetadata"] = {
        **prepared(contract.metadata),
        "description": "What is known of every event.",
    }
    with warnings.catch_warnings():
        # A constraint that the models could not express would be one.
        warnings.simplefilter("error", UserWarning)
        source = generate(
            json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": definitions}),
            input_file_type=InputFileType.JsonSchema,
            output_model_type=DataModelType.PydanticV2BaseModel,
            target_python_version=PythonVersion.PY_310,
            base_class="courier_client._model.Model",
            custom_file_header=f'"""The data of every event type, and the metadata.\n\n{GENERATED}\n"""\n',
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
    # The types of decimals are pydantic's own, which the generator of models cannot know.
    return source.replace("    model_config = ConfigDict(\n        arbitrary_types_allowed=True,\n    )\n", "")


def prepared(schema: Schema) -> Schema:
    """The schema as the generator of models is to read it."""
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
