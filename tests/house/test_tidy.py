"""Style that a machine can check: modules say what they are for, are one thing, nothing is half done."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from conftest import ROOT

SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 100
CHECKS = re.compile(r"raises|assert|check|expect|same")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_source_to_check():
    assert len(SOURCES) > 10
    assert len(TESTS) > 5


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_module_opens_with_what_it_is_for(path):
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert docstring, "no module docstring"
    assert docstring.split("\n")[0].strip().endswith((".", ":")) or "." in docstring, "not a sentence"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_file_is_one_thing(path):
    lines = path.read_text("utf-8").count("\n")
    assert lines <= FILE_LINES_MAX, f"{lines} lines: probably two things"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_function_fits_in_the_head(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} (line {node.lineno}) has {lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_nothing_is_left_half_done(path):
    found = re.findall(r"\b(TODO|FIXME|XXX)\b", path.read_text("utf-8"))
    assert not found


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_public_functions_of_a_module_are_documented(path):
    tree = ast.parse(path.read_text("utf-8"))
    for node in tree.body:
        compiled = any("njit" in ast.unparse(decorator) for decorator in getattr(node, "decorator_list", []))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_") and not compiled:
            assert ast.get_docstring(node), f"{node.name} (line {node.lineno}) has no docstring"


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_every_test_asserts_something(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            checks = any(
                isinstance(part, ast.Assert | ast.Raise)
                or (isinstance(part, ast.Call) and CHECKS.search(ast.unparse(part.func)))
                for part in ast.walk(node)
            )
            assert checks, f"{node.name} (line {node.lineno}) asserts nothing"


def test_no_file_names_this_machine_or_its_registries():
    home = re.escape(str(Path.home()))
    patterns = [re.escape(str(ROOT)) + r"\b", home + "/" if home != "/" else r"/root/"]
    pages = sorted((ROOT / "docs").rglob("*.md"))
    for path in [*SOURCES, *TESTS, *pages, ROOT / "README.md", ROOT / "Makefile"]:
        if path == Path(__file__):
            continue
        text = path.read_text("utf-8")
        for pattern in patterns:
            assert not re.search(pattern, text), f"{relative(path)} names {pattern}"


def test_pins_carry_no_addresses():
    text = (ROOT / "constraints.txt").read_text("utf-8")
    assert "://" not in text
    pins = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.\-]+==[A-Za-z0-9_.+\-]+", line) for line in pins), pins
