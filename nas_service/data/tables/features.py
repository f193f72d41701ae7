"""Features: what the owner of a table wrote into its schema of images and classes.

`datasets` of Hugging Face keeps its features under the metadata key `huggingface`, in one of these forms:

    {"info": {"features": {"img": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    {"dataset_info": {"features": [{"name": "label", "dtype": {"class_label": {"names": {"0": "cat", "1": "dog"}}}}]}}
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas_service.data.classes import MAX_CLASSES
from nas_service.data.tables.table import Table
from nas_service.wording import named, printable
from search_spaces.errors import InvalidFieldError


@dataclass(frozen=True)
class Features:
    """Of one table.

    Attributes:
        images: Columns that are said to hold images.
        labels: Columns that are said to hold classes, with what is said of these.
    """

    images: tuple[str, ...]
    labels: Mapping[str, Mapping[str, Any]]


def read_features(table: Table) -> Features:
    """Return what Hugging Face's metadata say; nothing, where there are none.

    Raises:
        InvalidFieldError: If they are no JSON.
    """
    found = _listed(_metadata(table, b"huggingface"))
    columns = {name: feature for name, feature in found.items() if name in table.columns and isinstance(feature, Mapping)}
    images = tuple(
        name for name, feature in columns.items() if feature.get("_type") == "Image" or feature.get("dtype") == "image"
    )
    labels = {name: label for name, feature in columns.items() if (label := _class_label(feature)) is not None}
    return Features(images, labels)


def class_names(tables: Sequence[Table], column: str, given: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the names of all classes in the order of their indices, as far as anybody says them.

    Args:
        tables: All files.
        column: Of the labels.
        given: Names that the user says; they go before those of the files.

    Raises:
        InvalidFieldError: If what the files say are no names, or differ, or the user gives them in another order.
    """
    said: dict[tuple[str, ...], Table] = {}
    for table in tables:
        with contextlib.suppress(InvalidFieldError) if given is not None else contextlib.nullcontext():
            said |= dict.fromkeys(_said(table, column), table)
    if given is None and len(said) > 1:
        (one, first), (other, second) = list(said.items())[:2]
        allowed = f"names, since metadata differ: {first.name} says {_shown(one)}; {second.name} says {_shown(other)}"
        raise InvalidFieldError("classes", "not set", allowed)
    for names, table in said.items():
        if given is not None and sorted(names) == sorted(given) and list(names) != list(given):
            allowed = f"the order of the indices in {table.name}: {_shown(names)}"
            raise InvalidFieldError("classes", list(given), allowed)
    return tuple(given) if given is not None else next(iter(said), None)


def _shown(names: Sequence[str]) -> str:
    return named(tuple(map(printable, names)))


def _said(table: Table, column: str) -> list[tuple[str, ...]]:
    """Return the names that a table's metadata say, in both places."""
    both = (_names_of(read_features(table).labels.get(column, {})), _plain_names(table))
    return [names for names in both if names]


def _plain_names(table: Table) -> tuple[str, ...] | None:
    """Read the metadata key `classes`: a JSON list of names, or names with commas between them."""
    text = (table.schema.metadata or {}).get(b"classes", b"").decode(errors="replace")
    if not text:
        return None
    try:
        listed = json.loads(text)
    except ValueError:
        return tuple(name.strip() for name in text.split(","))
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        allowed = "a JSON list of names, or names with commas, in the metadata key `classes`"
        raise InvalidFieldError("classes", text, allowed)
    return tuple(listed)


def _metadata(table: Table, key: bytes) -> Any:  # noqa: ANN401 - JSON
    text = (table.schema.metadata or {}).get(key)
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError) as error:
        raise table.error(f"metadata {key.decode()!r}", "metadata in JSON") from error


def _listed(said: Any) -> Mapping[str, Any]:  # noqa: ANN401 - JSON
    """Find the features by column, whichever form they have."""
    for key in ("info", "dataset_info"):
        if isinstance(said, Mapping) and isinstance(said.get(key), Mapping):
            said = said[key]
    features = said.get("features") if isinstance(said, Mapping) else None
    if isinstance(features, list):
        return {str(entry.get("name")): entry for entry in features if isinstance(entry, Mapping)}
    return features if isinstance(features, Mapping) else {}


def _class_label(feature: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if feature.get("_type") == "ClassLabel":
        return feature
    kind = feature.get("dtype")
    label = kind.get("class_label") if isinstance(kind, Mapping) else None
    return label if isinstance(label, Mapping) else None


def _names_of(label: Mapping[str, Any]) -> tuple[str, ...] | None:
    names, count = label.get("names"), label.get("num_classes")
    if names is None and isinstance(count, int) and 0 < count <= MAX_CLASSES:
        return tuple(map(str, range(count)))
    if isinstance(names, Mapping) and names.keys() == {str(index) for index in range(len(names))}:
        names = [names[str(index)] for index in range(len(names))]
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise InvalidFieldError("classes", names, "a list of names in the metadata of Hugging Face")
    return tuple(names) if names else None
