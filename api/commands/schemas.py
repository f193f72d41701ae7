"""JSON schemas as rows for people: a field a row, with what it takes, what it is without, and what it means."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

FIELD_COLUMNS = ("field", "takes", "else", "what it is")
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "{} letters or more",
    "maxLength": "at most {} letters",
    "minItems": "{} entries or more",
    "maxItems": "at most {} entries",
}
_TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "object": "object",
    "array": "list",
    "null": "null",
}

Schema = Mapping[str, Any]
Row = tuple[str, str, str, str]


def field_rows(schema: Schema) -> list[Row]:
    """Return the fields of an object and of the objects in it, by dotted path; of a list's entries what they take alone."""
    return list(_rows(schema, schema.get("$defs", {}), "", ()))


def _rows(schema: Schema, known: Schema, before: str, above: tuple[str, ...]) -> Iterator[Row]:
    needed = schema.get("required", [])
    for name, given in schema.get("properties", {}).items():
        field, path = _whole(given, known), f"{before}{name}"
        without = "needed" if name in needed else json.dumps(given["default"]) if "default" in given else ""
        yield path, _takes(field, known), without, given.get("description", field.get("description", ""))
        for reference, choice in _objects(given, known):
            if reference not in above:
                yield from _rows(choice, known, f"{path}.", (*above, reference))


def _whole(schema: Schema, known: Schema) -> Schema:
    """Return a schema with what it refers to."""
    reference = schema.get("$ref", "").rpartition("/")[2]
    return {**known[reference], **{key: value for key, value in schema.items() if key != "$ref"}} if reference else schema


def _objects(schema: Schema, known: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield the objects with fields that a value may be, by name."""
    for choice in [schema, *schema.get("anyOf", [])]:
        reference = choice.get("$ref", "").rpartition("/")[2]
        if reference and "properties" in known[reference]:
            yield reference, known[reference]


def _takes(schema: Schema, known: Schema) -> str:
    """Return in words which values are taken."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_takes(_whole(choice, known), known) for choice in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    kind = _TYPES.get(schema.get("type", ""), "any value")
    if kind == "list" and "items" in schema:
        kind = f"list of {_takes(_whole(schema['items'], known), known)}"
    return ", ".join([kind, *(words.format(schema[bound]) for bound, words in _BOUNDS.items() if bound in schema)])
