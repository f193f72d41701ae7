"""What the pages need of the OpenAPI document, as one file: `python -m docs.openapi FILE`.

Refusals look alike on every route, so they are described once instead of a dozen times a route.
"""

import json
import sys
from pathlib import Path
from typing import Any

from api.app import create_app
from api.views import Problem
from nas_service.settings import Settings


def described() -> dict[str, Any]:
    """Return the document without refusals, and with the schema of a refusal among the others."""
    document: dict[str, Any] = create_app(Settings(controller=False)).openapi()
    for routes in document["paths"].values():
        for route in routes.values():
            route["responses"] = {status: reply for status, reply in route["responses"].items() if status.startswith("2")}
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    document["components"]["schemas"] |= problem.pop("$defs") | {"Problem": problem}
    return document


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(described(), indent=1, sort_keys=True) + "\n")
