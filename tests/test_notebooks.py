"""The example notebooks: executed from beginning to end, they print what they are stored with, and name no machine."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from conftest import ROOT, environment

EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
SECONDS_MAX = 600
PLACES = re.compile(r"(?:/home|/root|/tmp|/usr|/opt|/work|/Users|/var)/|[A-Za-z]:\\\\|https?://")


def printed(notebook):
    """What each cell of code printed or showed as text; of pictures, that there is one. A stream may come in pieces."""
    out = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        shown = []
        for output in cell.outputs:
            data = output.get("data", {})
            text = output.get("text", data.get("text/plain", ""))
            kind = "picture" if "image/png" in data else output.output_type
            if kind == "stream" and shown and shown[-1][0] == "stream":
                text = shown.pop()[1] + text
            shown.append((kind, text))
        out.append(shown)
    return out


def test_there_is_one_for_a_trader_and_one_for_a_risk_officer():
    assert [path.stem for path in NOTEBOOKS] == ["risk-officer", "trader"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_prints_what_it_is_stored_with(path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    stored = nbformat.read(path, as_version=4)
    fresh = nbformat.read(path, as_version=4)
    before = sorted(EXAMPLES.iterdir())
    where = {"metadata": {"path": str(EXAMPLES)}}
    client = NotebookClient(fresh, timeout=SECONDS_MAX, kernel_name="python3", resources=where)
    client.execute()
    assert printed(fresh) == printed(stored)
    assert sum(1 for shown in printed(stored) for kind, _ in shown if kind == "picture") >= 1
    assert sorted(EXAMPLES.iterdir()) == before


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_executed_without_errors_or_places(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any(output.output_type == "error" or output.get("name") == "stderr" for cell in code for output in cell.outputs)
    texts = [cell.source for cell in notebook.cells] + [text for shown in printed(notebook) for _, text in shown]
    for text in texts:
        assert not PLACES.search(text), text
        assert "shared" not in text
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


def test_the_data_of_the_examples_is_small_and_all_there():
    files = {path.name for path in EXAMPLES.iterdir() if path.suffix in (".csv", ".json")}
    assert files == {"book.csv", "market.json", "history.csv", "crash.csv", "venue-book.csv", "venue-market.json"}
    assert sum(path.stat().st_size for path in Path(EXAMPLES).rglob("*") if path.is_file()) < 1_000_000
