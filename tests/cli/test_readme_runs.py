"""The README's five minutes, run as a reader would: its shell block, its table, its Python."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from conftest import ROOT, environment

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.S | re.M)
SHELL = next(text for kind, text in BLOCKS if kind == "sh" and "cat > market.json" in text)
TABLE = next(text for kind, text in BLOCKS if not kind and "initial margin" in text)
EXPLAINED = next(text for kind, text in BLOCKS if not kind and "saves initial" in text)
PYTHON = next(text for kind, text in BLOCKS if kind == "python")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    script = SHELL.replace(".venv/bin/seawall", f"{sys.executable} -m seawall.cli.main")
    line = ["bash", "-euc", script]
    result = subprocess.run(line, cwd=folder, capture_output=True, text=True, env=environment(), timeout=600)
    assert result.returncode == 0, result.stderr
    return folder, result.stdout


def test_the_commands_print_the_table_that_the_readme_shows(done):
    _, out = done
    printed = {line.strip() for line in out.splitlines()}
    assert {line.strip() for line in TABLE.splitlines() if line.strip()} <= printed


def test_the_explanation_is_the_one_that_the_readme_shows(done):
    folder, out = done
    printed = {line.strip() for line in out.splitlines()}
    assert {line.strip() for line in EXPLAINED.splitlines() if line.strip()} <= printed
    assert (folder / "bob.png").read_bytes().startswith(b"\x89PNG")


def test_the_replay_leaves_what_the_readme_says(done):
    folder, _ = done
    left = {path.name for path in (folder / "out" / "replay").iterdir()}
    assert {"decisions.parquet", "results.parquet", "summary.json"} <= left


def test_the_python_runs_on_the_same_files(done):
    folder, _ = done
    line = [sys.executable, "-c", PYTHON]
    result = subprocess.run(line, cwd=folder, capture_output=True, text=True, env=environment(), timeout=600)
    assert result.returncode == 0, result.stderr
    assert "liquidatable alice" in result.stdout
    assert "True" in result.stdout.splitlines()[-1]
