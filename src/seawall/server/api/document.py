"""The OpenAPI document: FastAPI's paths, with bodies, queries and answers as the msgspec records have them."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from seawall.server.api.errors import STATUS_WORDS, Failure
from seawall.server.api.routes import BINARY, JSON, KEY_CHARACTERS_MAX

__all__ = ["describe"]

_WRITES = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same content is done once, and answered again; kept for a day.",
    "schema": {"type": "string", "maxLength": KEY_CHARACTERS_MAX, "pattern": "^[ -~]*$"},
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The document of an application whose routes were made by `Routes`."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    operations = [(path, one) for path, methods in document["paths"].items() for one in methods.values()]
    names = ("x-answers", "x-body", "x-query")
    kinds = dict.fromkeys([Failure, *(one[name] for _, one in operations for name in names if one.get(name) is not None)])
    records = [kind for kind in kinds if not isinstance(kind, str)]
    schemas, components = msgspec.json.schema_components(records, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(records, schemas, strict=True))
    for schema in components.values():
        _optional_tag(schema)
    for path, one in operations:
        _complete(path, one, schema_of, components)
    scheme = {"type": "http", "scheme": "bearer", "description": "An API key, made by `seawall keys create`."}
    document["components"] = {"schemas": components, "securitySchemes": {"key": scheme}}
    return document


def _complete(path: str, one: dict[str, Any], schema_of: dict[Any, Any], components: dict[str, Any]) -> None:
    scope, answers, body, query, media, writes, refuses = (
        one.pop(f"x-{name}") for name in ("scope", "answers", "body", "query", "media", "writes", "refuses")
    )
    schema = schema_of.get(answers, {"type": "string"})
    content: dict[str, Any] = {media: {"schema": schema}}
    if media == JSON:
        content[BINARY] = {"schema": schema}
    one["responses"] = {"200": {"description": "Done.", "content": content}}
    failure = {JSON: {"schema": schema_of[Failure]}}
    for status in refuses:
        one["responses"][str(status)] = {"description": STATUS_WORDS[status], "content": failure}
    parameters = [_variable(name) for name in re.findall(r"{(\w+)}", path)]
    parameters += _parameters(schema_of[query], components) if query is not None else []
    parameters += [_WRITES] if writes else []
    one.pop("parameters", None)
    if parameters:
        one["parameters"] = parameters
    if body is not None:
        one["requestBody"] = {"required": True, "content": {JSON: {"schema": schema_of[body]}}}
    if scope:
        one["security"] = [{"key": []}]


def _variable(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _parameters(schema: dict[str, Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    """A query's record as parameters."""
    record = components[schema["$ref"].rpartition("/")[2]]
    required = record.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": each}
        for name, each in record["properties"].items()
    ]


def _optional_tag(schema: dict[str, Any]) -> None:
    """A record alone in its place may leave its `type` out: the path says it."""
    tag = schema.get("properties", {}).get("type", {})
    if len(tag.get("enum", [])) == 1 and "type" in schema.get("required", []):
        schema["required"] = [name for name in schema["required"] if name != "type"]
