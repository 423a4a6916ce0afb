"""The README tells the truth: its commands exist, its links lead somewhere, its Python runs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from conftest import ROOT, environment

README = (ROOT / "README.md").read_text("utf-8")
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)


def named_commands() -> set[str]:
    text = "\n".join(page.read_text("utf-8").replace("import seawall", "") for page in PAGES)
    return set(re.findall(r"(?:^|[`$ ])seawall ([a-z]+)\b", text, flags=re.M))


@pytest.fixture(scope="module")
def help_text() -> str:
    line = [sys.executable, "-m", "seawall.cli.main", "--help"]
    done = subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_seawall_command_that_a_page_names_exists(help_text):
    commands = named_commands()
    assert {"demo", "bench", "margin", "replay", "history"} <= commands
    missing = sorted(name for name in commands if not re.search(rf"\b{name}\b", help_text))
    assert not missing


def test_every_make_target_that_a_page_names_exists():
    text = "\n".join("\n".join(blocks(page.read_text("utf-8"), "(?:sh|bash|console)")) for page in PAGES)
    targets = set(re.findall(r"\bmake ([a-z-]+)", text))
    assert {"demo", "test"} <= targets
    assert all(re.search(rf"^{target}:", MAKEFILE, flags=re.M) for target in targets), targets


def test_every_link_to_a_file_leads_to_one():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_every_path_in_backticks_exists():
    """Decisions tell of their day, so they may name what has gone since."""
    for page in PAGES:
        if page.parent.name == "decisions":
            continue
        for path in re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|js|c|h|toml|md|html|service))`", page.read_text("utf-8")):
            found = [ROOT / path, ROOT / "src" / "seawall" / path]
            assert any(place.exists() for place in found), f"{page.relative_to(ROOT)} names {path}"


def test_the_python_of_the_pages_is_python():
    for page in PAGES:
        for block in blocks(page.read_text("utf-8"), "python"):
            assert ast.parse(block).body


def test_the_readme_is_short_enough_to_be_read():
    assert README.count("\n") <= 250


def test_every_decision_is_in_the_index():
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text("utf-8")
    for page in sorted(folder.glob("[0-9]*.md")):
        assert f"({page.name})" in index
