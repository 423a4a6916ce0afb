"""The API over real sockets: who may do what, what is answered, what is refused and how, and that nothing else is."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import httpx
import msgspec
import pytest

from seawall.server.keys import SCOPES
from server.running import PERSON, error_of, running

ERRORS = {400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 431, 503}


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    with running(tmp_path_factory.mktemp("venue")) as found:
        yield found


@pytest.fixture(scope="module")
def document(venue):
    with venue.client("read") as client:
        return client.get("/v1/openapi.json").json()


def operations(document):
    return [(path, method, one) for path, methods in document["paths"].items() for method, one in methods.items()]


def post(venue, path, body, scope="admin", **headers):
    with venue.client(scope) as client:
        return client.post(path, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def get(venue, path, scope="read"):
    with venue.client(scope) as client:
        return client.get(path)


# -- who ----------------------------------------------------------------------------------------


def test_every_route_opens_to_its_scopes_and_to_no_other(venue, document):
    tried = 0
    for path, method, one in operations(document):
        words = one["description"]
        needs = {scope for scope in SCOPES if f"`{scope}`" in words.rpartition("Scope:")[2]} if "Scope:" in words else set()
        address = path.replace("{account}", "nobody")
        for scope in (None, *SCOPES):
            headers = venue.headers(scope) if scope else {}
            answer = httpx.request(method, venue.url + address, headers=headers, timeout=30)
            allowed = not needs or scope in needs or (scope is not None and "read" in needs)
            if scope is None and needs:
                assert answer.status_code in (401, 429), (method, path)
            elif allowed:
                assert answer.status_code not in (401, 403), (method, path, scope)
            else:
                assert answer.status_code == 403, (method, path, scope)
                assert error_of(answer)["code"] == "scope"
            tried += 1
    assert tried >= 5 * 35


def test_a_wrong_key_opens_nothing_wherever_it_is_given(venue):
    right = venue.keys["read"]
    for value in (f"Bearer {right}x", f"Basic {right}", right, "Bearer", f"Bearer {right[:-1]}A"):
        answer = httpx.get(f"{venue.url}/v1/status", headers={"Authorization": value})
        assert answer.status_code in (401, 429), value
    for address in (f"/v1/status?key={right}", f"/v1/status?access_token={right}"):
        assert httpx.get(venue.url + address).status_code in (401, 429)
    assert httpx.get(f"{venue.url}/v1/status", headers={"Authorization": f"bearer {right}"}).status_code == 200


def test_a_stranger_does_not_learn_which_paths_there_are(venue):
    answers = {httpx.get(venue.url + path).status_code for path in ("/v1/accounts/alice", "/v1/none", "/docs", "/")}
    assert answers <= {401, 429}


def test_opening_one_of_the_venues_own_accounts_needs_admin(venue):
    body = {"account": "second-fund", "kind": "insurance"}
    assert post(venue, "/v1/accounts", body, "trade").status_code == 403
    assert post(venue, "/v1/accounts", body | {"kind": "user"}, "trade").status_code == 200


# -- looking ------------------------------------------------------------------------------------


def test_accounts_are_filtered_sorted_paged_and_counted(venue):
    page = get(venue, "/v1/accounts?sort=equity&descending=true&limit=2").json()
    assert page["total"] >= 4
    assert [row["account"] for row in page["rows"]] == ["alice", "bob"] or len(page["rows"]) == 2
    equities = [Decimal(row["equity"]) for row in page["rows"]]
    assert equities == sorted(equities, reverse=True)
    rest = get(venue, "/v1/accounts?sort=equity&descending=true&limit=100&offset=2").json()
    assert len(rest["rows"]) == page["total"] - 2
    assert {row["account"] for row in page["rows"] + rest["rows"]} >= PERSON
    assert {row["account"] for row in get(venue, "/v1/accounts?search=lic").json()["rows"]} == {"alice"}
    assert get(venue, "/v1/accounts?status=bankrupt").json()["rows"] == []


def test_the_table_as_csv_is_the_table(venue):
    answer = get(venue, "/v1/accounts.csv?sort=account")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    table = get(venue, "/v1/accounts?sort=account&limit=1000").json()["rows"]
    assert [(row["account"], row["equity"]) for row in rows] == [(row["account"], row["equity"]) for row in table]


def test_one_account_adds_up(venue):
    found = get(venue, "/v1/accounts/alice").json()
    figures = found["figures"]
    assert Decimal(figures["health"]) == Decimal(figures["equity"]) - Decimal(figures["maintenance_margin"])
    worth = Decimal(found["cash"]) + sum(Decimal(one["value"]) for one in found["positions"])
    assert abs(worth - Decimal(figures["equity"])) < Decimal("0.00001")
    assert get(venue, "/v1/accounts/alice/margin").json()["maintenance_margin"] == figures["maintenance_margin"]
    assert get(venue, "/v1/accounts/alice/positions").json() == found["positions"]
    assert get(venue, "/v1/accounts/alice/orders").json() == found["orders"]


def test_what_if_is_what_then_is(venue):
    post(venue, "/v1/accounts", {"account": "erin"}, "trade")
    post(venue, "/v1/deposits", {"account": "erin", "amount": "1000"})
    body = {"trades": [["SOL-PERP", "10"]], "deposit": "500"}
    then = post(venue, "/v1/accounts/erin/what-if", body, "read").json()
    mark = next(
        one["mark"] for one in get(venue, "/v1/accounts/bob").json()["positions"] if one["instrument"] == "SOL-PERP"
    )
    post(venue, "/v1/deposits", {"account": "erin", "amount": "500"})
    fill = {"maker": "opening", "taker": "erin", "instrument": "SOL-PERP", "quantity": "10", "price": mark}
    assert post(venue, "/v1/fills", fill, "trade").status_code == 200
    assert get(venue, "/v1/accounts/erin/margin").json() == then


def test_messagepack_says_what_json_says(venue):
    with venue.client("read") as client:
        path = "/v1/accounts/alice/positions"
        packed = client.get(path, headers={"Accept": "application/msgpack"})
        assert packed.headers["content-type"] == "application/msgpack"
        assert msgspec.msgpack.decode(packed.content) == client.get(path).json()
        body = msgspec.msgpack.encode({"trades": [["BTC-PERP", "-1"]]})
        answer = client.post("/v1/accounts/alice/what-if", content=body, headers={"Content-Type": "application/msgpack"})
        assert answer.json() == post(venue, "/v1/accounts/alice/what-if", {"trades": [["BTC-PERP", "-1"]]}).json()


def test_metrics_are_what_prometheus_reads(venue):
    post(venue, "/v1/ticks", {"prices": {"BTC": "100000"}}, "risk")
    text = get(venue, "/metrics").text
    lines = text.splitlines()
    values = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}
    assert values['seawall_journal_state{state="accepting"}'] == 1
    assert values['seawall_price_age_seconds{underlying="BTC"}'] < 60
    assert values['seawall_stage_seconds_bucket{stage="http",le="+Inf"}'] == values['seawall_stage_seconds_count{stage="http"}']
    assert values['seawall_stage_seconds_count{stage="write"}'] >= 1
    assert any(name.startswith("seawall_accounts{") for name in values)
    names = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    used = {name.partition("{")[0] for name in values}
    assert all(any(name in (one, one + "_bucket", one + "_sum", one + "_count") for one in names) for name in used)


# -- writing ------------------------------------------------------------------------------------


def test_a_deposit_is_posted_and_an_impossible_withdrawal_is_refused_with_its_verdict(venue):
    before = Decimal(get(venue, "/v1/accounts/dora").json()["balances"]["USD"])
    written = post(venue, "/v1/deposits", {"account": "dora", "amount": "12.5"}).json()
    assert sum(line["amount"] for line in written["postings"]) == 0
    assert Decimal(get(venue, "/v1/accounts/dora").json()["balances"]["USD"]) == before + Decimal("12.5")
    refused = post(venue, "/v1/withdrawals", {"account": "dora", "amount": "100000"})
    assert refused.status_code == 422
    assert refused.json()["verdict"]["admitted"] is False
    assert error_of(httpx.Response(422, content=msgspec.json.encode({"error": refused.json()["error"]})))["code"] == "margin"
    assert Decimal(get(venue, "/v1/accounts/dora").json()["balances"]["USD"]) == before + Decimal("12.5")


def test_orders_are_opened_listed_and_cancelled(venue):
    order = {"account": "bob", "id": "o-1", "instrument": "BTC-PERP", "quantity": "0.01", "price": "90000"}
    assert post(venue, "/v1/orders", order, "trade").json()["verdict"]["admitted"] is True
    assert [one["id"] for one in get(venue, "/v1/accounts/bob/orders").json()] == ["o-1"]
    assert post(venue, "/v1/cancels", {"account": "bob", "id": "o-1"}, "trade").status_code == 200
    assert get(venue, "/v1/accounts/bob/orders").json() == []
    assert post(venue, "/v1/cancels", {"account": "bob", "id": "o-1"}, "trade").status_code == 400


def test_every_write_is_in_the_audit_trail_with_its_key(venue):
    written = post(venue, "/v1/deposits", {"account": "carol", "amount": "1"}, Idempotency_Key="audit 1").json()
    page = get(venue, f"/v1/audit?after={written['sequence'] - 1}&limit=1", "risk").json()
    (entry,) = page["entries"]
    assert (entry["sequence"], entry["kind"], entry["key_name"]) == (written["sequence"], "deposit", "admin")
    assert entry["key_id"] == venue.keys["admin"].split("_")[1]
    assert entry["event"]["account"] == "carol"
    only = get(venue, "/v1/audit?after=0&limit=1000&account=carol&kind=deposit", "admin").json()["entries"]
    assert only
    assert all(one["event"]["account"] == "carol" for one in only)
    seen, after = [], 0
    while True:
        page = get(venue, f"/v1/audit?after={after}&limit=7", "risk").json()
        seen += [one["sequence"] for one in page["entries"]]
        if not page["next"]:
            break
        after = page["next"]
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) >= written["sequence"]


# -- what cannot be -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/deposits", {"account": "nobody", "amount": "1"}, 404, "unknown-account"),
        ("/v1/deposits", {"account": "alice", "amount": "1.0000001"}, 400, "bad-number"),
        ("/v1/deposits", {"account": "alice", "amount": "-1"}, 400, "bad-number"),
        ("/v1/deposits", {"account": "alice", "amount": "nan"}, 400, "bad-number"),
        ("/v1/deposits", {"account": "alice", "amount": 1}, 400, "input-error"),
        ("/v1/deposits", {"account": "alice"}, 400, "missing-key"),
        ("/v1/deposits", {"account": "alice", "amount": "1", "asset": "DOGE"}, 400, "input-error"),
        ("/v1/deposits", {"account": "alice", "amount": "1", "colour": "red"}, 400, "unknown-key"),
        ("/v1/deposits", [1], 400, "input-error"),
        ("/v1/deposits", {"account": "alice", "amount": "9" * 400}, 400, "bad-number"),
        ("/v1/accounts/nobody/what-if", {}, 404, "unknown-account"),
        ("/v1/accounts/alice/what-if", {"trades": [["NONE", "1"]]}, 404, "unknown-instrument"),
        ("/v1/accounts/alice/what-if", {"trades": [["BTC-PERP", "0.00001"]]}, 400, "not-whole-lots"),
        ("/v1/accounts/alice/what-if", {"trades": [["BTC-PERP"]]}, 400, "input-error"),
    ],
)
def test_bad_requests_say_what_was_found_and_what_was_expected(venue, path, body, status, code):
    answer = post(venue, path, body)
    assert answer.status_code == status, answer.text
    error = error_of(answer)
    assert error["code"] == code
    assert error["found"]
    assert error["expected"]


@pytest.mark.parametrize("query", ["sort=x", "limit=0", "limit=1001", "limit=x", "offset=-1", "colour=red", "limit=1&limit=2"])
def test_bad_queries_are_bad_requests(venue, query):
    assert get(venue, f"/v1/accounts?{query}").status_code == 400


def test_garbage_of_all_kinds_is_a_bad_request(venue):
    with venue.client() as client:
        for content in (b"", b"{", b"null", b"\xff\xfe", b"[" * 100_000, b'{"account":"a","account":"b"}', b"1e999"):
            answer = client.post("/v1/deposits", content=content, headers={"Content-Type": "application/json"})
            assert answer.status_code == 400, content[:20]
            error_of(answer)


def test_a_body_of_another_type_is_refused_so_that_no_web_page_can_send_one(venue):
    with venue.client() as client:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            answer = client.post("/v1/deposits", content=b"{}", headers={"Content-Type": kind})
            assert answer.status_code == 415
            assert error_of(answer)["code"] == "content-type"


def test_another_method_is_405_and_another_path_404(venue):
    with venue.client() as client:
        answer = client.delete("/v1/deposits")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
        assert error_of(client.get("/v1/none"))["code"] == "path"


def test_answers_may_not_be_framed_sniffed_or_kept(venue):
    for path in ("/v1/status", "/v1/none", "/v1/health"):
        headers = get(venue, path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


# -- the document -------------------------------------------------------------------------------


def test_the_document_has_every_route_with_its_statuses_and_records(document):
    found = operations(document)
    assert len(found) >= 35
    for path, method, one in found:
        assert one["summary"], (path, method)
        assert "200" in one["responses"]
        assert {int(status) for status in one["responses"]} - {200} <= ERRORS
        if one.get("security"):
            assert {"401", "403", "429"} <= set(one["responses"])
        if method == "post":
            assert one["requestBody"]["required"]
    text = json.dumps(document)
    assert "HTTPValidationError" not in text
    references = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert references <= set(document["components"]["schemas"])
