"""schemathesis over the OpenAPI document: whatever is sent, no 5xx, no undocumented status, no answer of another shape."""

from __future__ import annotations

from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from server.running import running

CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 15  # of each route; a failing one is printed as a curl command


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    with running(tmp_path_factory.mktemp("venue"), "[limits]\nrefusals_per_s = 1000000\n") as found:
        yield found


def test_whatever_is_sent_the_answer_is_a_documented_one(venue):
    with venue.client("read") as client:
        document = schemathesis.openapi.from_dict(client.get("/v1/openapi.json").json())
    document.config.update(base_url=venue.url)
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) >= 40
    seen = {}
    for operation in operations:
        seen[operation.label] = tried(venue, operation)
    # The test reached the routes: it was not turned away at the gate, and most of them said yes to something.
    assert sum(200 in statuses for statuses in seen.values()) >= 15, seen
    assert not {label for label, statuses in seen.items() if not statuses - {401, 403, 429}}


def tried(venue, operation):
    """The statuses that an operation answered with; a failing request is shown as a curl command."""
    statuses = set()
    headers = all_scopes(venue, operation)
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def one(case):
            answer = case.call(headers=headers)
            statuses.add(answer.status_code)
            case.validate_response(answer, checks=CHECKS)

        with suppress(Unsatisfiable):  # of a route without parameters nothing is wrong that could be sent
            one()
    return statuses


def all_scopes(venue, operation):
    """A key that opens the route: the document says which scopes do."""
    words = operation.definition.raw["description"].rpartition("Scope:")[2]
    scope = next((scope for scope in ("admin", "risk", "trade", "read") if f"`{scope}`" in words), "read")
    return venue.headers(scope)
