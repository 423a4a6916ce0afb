"""Published vectors: the selection carried here, all of shared/ where it is present, and honest reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import shared_dir
from seawall.core.errors import InputError
from seawall.margin import conform

DATA = Path(__file__).parent / "data"
ANSWERED = ("derive_pmrm", "derive_srm", "dydx_perp_margin", "dydx_quantums", "dydx_subaccount_risk")


def load(name: str) -> dict:
    return json.loads((DATA / f"{name}.json").read_text("utf-8"))


def judged(tmp_path: Path, data: object) -> conform.FileReport:
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps(data), "utf-8")
    return conform.run([path]).files[0]


@pytest.mark.parametrize("name", ANSWERED)
def test_every_figure_of_the_selection_is_met(name):
    file = conform.run([DATA / f"{name}.json"]).files[0]
    assert file.failures == ()
    beyond = sum(count for reason, count in file.reasons.items() if "int64" in reason)
    assert file.failed == 0
    assert file.unsupported == beyond
    assert file.passed >= 6


def test_every_figure_of_the_shared_vectors_is_met_or_said_to_be_unsupported():
    report = conform.run([shared_dir() / "vectors"])
    assert [failure for file in report.files for failure in file.failures] == []
    for file in report.files:
        answered = Path(file.file).stem in ANSWERED
        assert (file.passed > 0) == answered, file.file
        assert sum(file.reasons.values()) == file.unsupported
        if not answered:
            assert file.unsupported > 0


@pytest.mark.parametrize("field", ["IM", "MM", "mtm"])
def test_a_figure_off_by_a_billionth_and_a_bit_fails(tmp_path, field):
    data = load("derive_pmrm")
    data["vectors"] = [v for v in data["vectors"] if v["model"] == "PMRM_v2"][1:2]
    data["vectors"][0]["expected"][field] *= 1 + 3e-9
    file = judged(tmp_path, data)
    assert (file.passed, file.failed) == (0, 1)
    assert [failure.field for failure in file.failures] == [field]


def test_a_scenario_value_that_differs_is_named(tmp_path):
    data = load("derive_pmrm")
    data["vectors"] = [v for v in data["vectors"] if v["model"] == "PMRM_v2"][1:2]
    data["vectors"][0]["expected"]["scenario_pnl"][7] += 0.01
    file = judged(tmp_path, data)
    assert [failure.field for failure in file.failures] == ["scenario_pnl[7]"]


def test_a_dydx_figure_off_by_one_fails(tmp_path):
    data = load("dydx_perp_margin")
    row = next(v for v in data["vectors"] if "bigExpectedInitialMargin" in v["expected"])
    row["expected"]["bigExpectedInitialMargin"] += 1
    data["vectors"] = [row]
    file = judged(tmp_path, data)
    assert file.failed == 1
    assert {failure.field for failure in file.failures} == {"initial margin, rules", "initial margin, kernel"}


def test_a_vector_that_its_source_disabled_is_unsupported_not_passed(tmp_path):
    data = load("derive_pmrm")
    for vector in data["vectors"]:
        vector["active_upstream"] = False
    file = judged(tmp_path, data)
    assert (file.passed, file.failed, file.unsupported) == (0, 0, len(data["vectors"]))
    assert next(iter(file.reasons)).startswith("disabled in its source")


def test_a_row_that_its_source_does_not_assert_is_unsupported(tmp_path):
    data = load("dydx_quantums")
    data["vectors"][0]["check"] = "skipped (error case)"
    data["vectors"][1]["expected"] = {}
    file = judged(tmp_path, data)
    assert file.unsupported == 2
    assert file.passed == len(data["vectors"]) - 2


def test_a_field_that_no_rule_reads_makes_a_row_unsupported(tmp_path):
    data = load("dydx_quantums")
    data["vectors"] = data["vectors"][:1]
    data["vectors"][0]["inputs"]["moonPhase"] = 3
    file = judged(tmp_path, data)
    assert file.reasons == {"a field that no rule here reads: moonPhase": 1}


def test_an_expected_error_is_met_by_an_error(tmp_path):
    data = load("dydx_subaccount_risk")
    data["vectors"] = [
        {
            "name": "TestGetNetCollateralAndMarginRequirements/another asset",
            "inputs": {"assetPositions": [{"AssetId": 1, "Quantums": 5}]},
            "expected": {"expectedErr": "types.ErrNotImplementedMulticollateral"},
            "check": "reproduced_exactly",
        }
    ]
    assert judged(tmp_path, data).passed == 1
    data["vectors"][0]["expected"] = {"expectedNetCollateral": 5}
    assert judged(tmp_path, data).failed == 1


def test_values_beyond_the_ledger_are_unsupported_never_wrapped(tmp_path):
    data = load("derive_pmrm")
    data["vectors"] = [v for v in data["vectors"] if v["id"].endswith("Test1")]
    data["vectors"][0]["input"]["options"][0]["amount"] = -1e9
    file = judged(tmp_path, data)
    assert (file.passed, file.failed, file.unsupported) == (0, 0, 1)
    assert "int64" in next(iter(file.reasons))


def test_unknown_families_count_as_unsupported(tmp_path):
    assert judged(tmp_path, {"protocol": "Nobody", "vectors": [{"name": "a"}, {"name": "b"}]}).unsupported == 2
    assert judged(tmp_path, {"cases": [1, 2, 3]}).unsupported == 3
    assert judged(tmp_path, {"formula": "x = y"}).unsupported == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[1, 2", '{"vectors": [NaN]}', "\u00ff\u0000", "12", '"text"', "{}", "[" * 100_000]
)
def test_garbage_is_one_message_with_the_file_in_it(tmp_path, text):
    path = tmp_path / "vectors.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError) as caught:
        conform.run([path])
    assert caught.value.exit_code == 2
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def places(part: object, path: tuple = ()) -> list[tuple]:
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return [path, *(place for key, inner in items for place in places(inner, (*path, key)))]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # absurd figures overflow on the way to a refusal
@pytest.mark.parametrize("name", ANSWERED)
@settings(max_examples=40)
@given(data=st.data())
def test_a_damaged_vector_is_judged_or_refused_in_one_line(name, data, tmp_path_factory):
    document = load(name)
    document["vectors"] = [data.draw(st.sampled_from(document["vectors"]))]
    *path, last = data.draw(st.sampled_from(places(document)[1:]))
    part = document
    for key in path:
        part = part[key]
    values = [None, "x", -1, 0, 1e308, [], {}, True, "12", [1], {"a": 1}, 10**30]
    part[last] = data.draw(st.sampled_from(values))
    verdict = ""
    try:
        file = judged(tmp_path_factory.mktemp("damaged"), document)
    except InputError as error:
        verdict = str(error)
    else:
        assert file.passed + file.failed + file.unsupported >= 1
    assert not verdict or ("vectors.json" in verdict and "\n" not in verdict)


@pytest.mark.parametrize("nothing", [None, [], 0])
def test_a_vector_without_components_is_judged_by_its_totals(nothing, tmp_path):
    document = load("derive_srm")
    rows = [row for row in document["vectors"] if "components" in row["expected"]]
    document["vectors"] = [row | {"expected": row["expected"] | {"components": nothing}} for row in rows]
    file = judged(tmp_path, document)
    assert (file.failed, file.unsupported) == (0, 0)
    assert file.passed >= len(rows) > 0


def test_a_path_that_is_not_there_and_an_empty_folder_are_input_errors(tmp_path):
    for paths in ([tmp_path / "nothing.json"], [tmp_path], []):
        with pytest.raises(InputError):
            conform.run(paths)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("derive_pmrm", ("input", "spot")),
        ("derive_pmrm", ("input", "params")),
        ("derive_pmrm", ("expected", "IM")),
        ("derive_srm", ("input", "cash")),
        ("derive_srm", ("expected", "MM")),
    ],
)
def test_a_missing_field_names_file_and_vector(tmp_path, name, path):
    data = load(name)
    vector = data["vectors"][0]
    del vector[path[0]][path[1]]
    if path == ("input", "params"):
        vector["input"]["params"] = None
    with pytest.raises(InputError) as caught:
        judged(tmp_path, data)
    assert vector["id"] in str(caught.value)


def test_the_report_is_the_shape_that_outside_checks_read():
    shape = conform.run([DATA / "dydx_quantums.json"]).to_json_object()
    assert set(shape) == {"files"}
    assert {"file", "passed", "failed", "unsupported", "failures"} <= set(shape["files"][0])
    assert json.loads(json.dumps(shape)) == shape
