"""The OpenAPI document: FastAPI's paths, with bodies, queries and answers as the msgspec records have them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from seawall.server.api.errors import STATUS_WORDS, Failure
from seawall.server.api.routes import BINARY, JSON, KEY_CHARACTERS_MAX, Facts

__all__ = ["describe"]

_WRITES = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same content is done once, and answered again; kept for a day.",
    "schema": {"type": "string", "maxLength": KEY_CHARACTERS_MAX, "pattern": "^[ -~]*$"},
}


def describe(app: FastAPI, facts: Mapping[str, Facts]) -> dict[str, Any]:
    """The document of an application; facts: of its routes, by operation."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    found = [Failure, *(kind for one in facts.values() for kind in (one.answers, one.body, one.query) if kind is not None)]
    records = [kind for kind in dict.fromkeys(found) if not isinstance(kind, str)]
    schemas, components = msgspec.json.schema_components(records, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(records, schemas, strict=True))
    for schema in components.values():
        _optional_tag(schema)
    for path, methods in document["paths"].items():
        for one in methods.values():
            _complete(path, one, facts[one["operationId"]], schema_of, components)
    scheme = {"type": "http", "scheme": "bearer", "description": "An API key, made by `seawall keys create`."}
    document["components"] = {"schemas": components, "securitySchemes": {"key": scheme}}
    return document


def _complete(
    path: str, one: dict[str, Any], fact: Facts, schema_of: dict[Any, Any], components: dict[str, Any]
) -> None:
    schema = {"type": "string"} if isinstance(fact.answers, str) else schema_of[fact.answers]
    content: dict[str, Any] = {fact.media: {"schema": schema}}
    if fact.media == JSON:
        content[BINARY] = {"schema": schema}
    one["responses"] = {"200": {"description": "Done.", "content": content}}
    failure = {JSON: {"schema": schema_of[Failure]}}
    for status in fact.refuses:
        one["responses"][str(status)] = {"description": STATUS_WORDS[status], "content": failure}
    parameters = [_variable(name) for name in re.findall(r"{(\w+)}", path)]
    parameters += _parameters(schema_of[fact.query], components) if fact.query is not None else []
    parameters += [_WRITES] if fact.writes else []
    one.pop("parameters", None)
    if parameters:
        one["parameters"] = parameters
    if fact.body is not None:
        one["requestBody"] = {"required": True, "content": {JSON: {"schema": schema_of[fact.body]}}}
    if fact.scope:
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
