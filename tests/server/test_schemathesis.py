"""schemathesis over the OpenAPI document: whatever is sent, no 5xx, no undocumented status, no answer of another shape."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from server.running import running

CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]
EXAMPLES = 15  # of each route; a failing one is printed as a curl command


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    with running(tmp_path_factory.mktemp("venue")) as found:
        yield found


@pytest.fixture
def document(venue):
    with venue.client("read") as client:
        content = client.get("/v1/openapi.json").json()
    found = schemathesis.openapi.from_dict(content)
    found.config.update(base_url=venue.url)
    return found


api = schemathesis.pytest.from_fixture("document")


@api.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_the_answer_is_a_documented_one(case, venue):
    answer = case.call(headers=_all_scopes(venue, case))
    case.validate_response(answer, checks=CHECKS)
    assert answer.status_code not in (401, 429), "the test itself was turned away, and tests nothing"


def _all_scopes(venue, case):
    """A key that opens the route: the document says which scopes do."""
    words = case.operation.definition.raw["description"].rpartition("Scope:")[2]
    scope = next((scope for scope in ("admin", "risk", "trade", "read") if f"`{scope}`" in words), "read")
    return venue.headers(scope)
