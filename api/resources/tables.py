"""Tables: the same figures as JSON, and as CSV for people's own programs. Not a resource of its own."""

import csv
import io
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Query, Request, Response

from api.resources.etags import tagged
from nas_service.wording import printable


class TableFormat(StrEnum):
    """How a table is written."""

    JSON = "json"
    CSV = "csv"


Format = Annotated[TableFormat, Query(alias="format")]
AS_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


def csv_text(columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Return rows as CSV: text is one line each, and what a terminal shows."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: printable(value) if isinstance(value, str) else value for name, value in row.items()})
    return text.getvalue()


def csv_reply(request: Request, filename: str, columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> Response:
    """Return rows as a CSV file with its ETag."""
    return tagged(request, csv_text(columns, rows).encode(), "text/csv", filename)
