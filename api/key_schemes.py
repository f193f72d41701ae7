"""What the OpenAPI document says of keys, so that clients made from it can show one."""

from typing import Any

from fastapi import FastAPI

from api.gate import COOKIE, OPEN

_SCHEMES = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "nas_...",
        "description": "A key of `nas keys create`; off loopback the service always asks for one.",
    },
    "browser": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "What `POST /v1/session` gives for a key; to change anything a request needs an `Origin` beside it.",
    },
}


def describe_keys(app: FastAPI, *, is_asked: bool) -> None:
    """Describe keys in an application's document; where it asks nobody they may be left out."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        document["components"]["securitySchemes"] = _SCHEMES
        shown: list[dict[str, list[str]]] = [{name: []} for name in _SCHEMES]
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["security"] = [] if path in OPEN else shown if is_asked else [*shown, {}]
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it
