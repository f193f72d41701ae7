"""The OpenAPI document as files: `docs/openapi.json` for everybody, and what the pages need of it.

`python -m docs.openapi FILE --pages` leaves out refusals, which the pages read by a type of their own.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from api.app import create_app
from nas_service.settings import Settings

WHOLE = Path(__file__).resolve().parent / "openapi.json"


def served() -> dict[str, Any]:
    """Return the document that `GET /openapi.json` answers with."""
    document: dict[str, Any] = create_app(Settings(controller=False)).openapi()
    return document


def for_pages() -> dict[str, Any]:
    """Return the document without refusals; how they look is still among the schemas."""
    document = served()
    for routes in document["paths"].values():
        for route in routes.values():
            route["responses"] = {status: reply for status, reply in route["responses"].items() if status.startswith("2")}
    return document


def main() -> None:
    """Write one of the two."""
    parser = argparse.ArgumentParser(prog="python -m docs.openapi", description="Write the OpenAPI document.")
    parser.add_argument("file", type=Path, nargs="?", default=WHOLE, help="file to write; docs/openapi.json if left out")
    parser.add_argument("--pages", action="store_true", help="only what the pages need of it")
    asked = parser.parse_args()
    document = for_pages() if asked.pages else served()
    asked.file.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
