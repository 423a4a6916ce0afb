"""The documented comparisons: tables and pictures in the docs are what their commands print and draw."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from conftest import ROOT, environment
from seawall.cli.app import app

MODELS = (ROOT / "docs" / "models.md").read_text("utf-8")
GUIDE = (ROOT / "docs" / "guides" / "capital-efficiency.md").read_text("utf-8")
IMAGES = ROOT / "docs" / "images"


def blocks(text, language):
    return [found for kind, found in re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.S | re.M) if kind == language]


def words_of(text):
    """The words of the first `seawall efficiency` of a page, after the name of the command."""
    shown = next(block for block in blocks(text, "sh") if "seawall efficiency" in block)
    return shlex.split(shown.replace("\\\n", " "))[1:]


def run(words, tmp_path, monkeypatch, *more):
    """The command of a page from the root of the tree, its picture in a folder of the test."""
    monkeypatch.chdir(ROOT)
    picture = tmp_path / words[words.index("--plot") + 1]
    words = [str(picture) if word == picture.name else word for word in words]
    done = CliRunner().invoke(app, [*words, *more])
    assert done.exit_code == 0, done.output
    return done, picture


def described(path):
    image = pytest.importorskip("PIL.Image")
    return image.open(path).text["Description"]


def test_the_table_of_disagreements_is_what_the_command_prints(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    done, picture = run(words_of(MODELS), tmp_path, monkeypatch, "--json")
    accounts = json.loads(done.stdout)["accounts"]
    section = MODELS.split("### When the models disagree")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    rows = {cells[0].strip("`*"): cells[1:] for cells in ([c.strip() for c in line.strip("|").split("|")] for line in lines)}
    assert rows["model"] == [each["account"] for each in accounts]
    assert len(rows) == 9 + 3  # nine models, the head, the rule, the shortfall
    for column, account in enumerate(accounts):
        for each in account["models"]:
            if "unsupported" in each:
                assert rows[each["model"]][column] == "-"
                continue
            ratio = -(-each["per_shortfall_ppm"] // 10_000) / 100
            assert rows[each["model"]][column] == f"{float(each['initial_margin']):,.0f} ({ratio:,.2f})"
        shortfall = float(account["models"][0]["expected_shortfall"])
        assert rows["expected shortfall"][column] == f"{shortfall:,.0f}"
    assert described(IMAGES / "disagreement.png") == described(picture)


def test_the_table_of_the_guide_is_what_the_command_prints(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    done, picture = run(words_of(GUIDE), tmp_path, monkeypatch)
    printed = {line.strip() for line in done.stdout.splitlines()}
    shown = {line.strip() for line in blocks(GUIDE, "")[0].splitlines() if line.strip()}
    assert len(shown) == 8
    assert shown <= printed
    assert described(IMAGES / "efficiency.png") == described(picture)


def test_the_python_of_the_guide_runs():
    line = [sys.executable, "-c", blocks(GUIDE, "python")[0]]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, env=environment(), timeout=300)
    assert done.returncode == 0, done.stderr
    assert "portfolio 2" in done.stdout


def test_the_sentences_name_figures_that_explain_gives(monkeypatch):
    monkeypatch.chdir(ROOT / "examples" / "disagreement")

    def parts(account, model):
        words = ["explain", "book.csv", "market.json", account, "-m", model, "--json"]
        found = json.loads(CliRunner().invoke(app, words).stdout)
        return found, {one["component"]: float(one["initial"]) for one in found["components"]}

    _, derive = parts("short butterfly", "derive-portfolio")
    assert (round(derive["scenario"]), round(derive["naked shorts"])) == (2_968, 10_000)
    butterfly, _ = parts("short butterfly", "portfolio")
    assert round(float(butterfly["scenarios"][0]["loss"])) == 31_966
    standard, payoff = parts("short butterfly", "derive-standard")
    assert round(payoff["worst pay-off"]) == 17_500
    _, basis = parts("basis trade", "portfolio")
    assert (round(basis["basis"]), basis["haircuts"]) == (2_501, 80_000)
    strangle, _ = parts("short strangle", "derive-portfolio")
    assert "spot +5," in strangle["scenarios"][0]["scenario"]
    assert standard["status"] == "ok"
