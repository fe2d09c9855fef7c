"""JSON Schemas as validators (draft 2020-12): one validator everywhere, so that there is one verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

LONGEST = 160


class Validator:
    """One schema, ready to judge values."""

    def __init__(self, schema: Mapping[str, Any], registry: Registry[Any]) -> None:
        self._validator = Draft202012Validator(schema, registry=registry)

    def problems(self, value: object) -> Iterator[tuple[str, str]]:
        """Each violation as (JSON path, what is wrong), in the order of the paths."""
        for error in sorted(self._validator.iter_errors(value), key=lambda e: e.json_path):
            message = error.message
            yield error.json_path, message if len(message) <= LONGEST else f"{message[:LONGEST]}..."


def load_schemas(folder: Path) -> Mapping[str, Validator]:
    """Every `NAME.schema.json` of a folder by its NAME; references between them go by `$id`."""
    found = {
        path.name.removesuffix(".schema.json"): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.schema.json"))
    }
    registry: Registry[Any] = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in found.values()
    )
    return {name: Validator(schema, registry) for name, schema in found.items()}
