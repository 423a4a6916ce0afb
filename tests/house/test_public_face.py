"""The public face: `seawall.__all__` is exactly what is importable, and importing it stays cheap."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

import seawall
from conftest import environment


def test_everything_in_all_is_importable_and_has_a_docstring():
    for name in seawall.__all__:
        thing = getattr(seawall, name)
        if callable(thing) or isinstance(thing, types.ModuleType):
            assert (thing.__doc__ or "").strip(), f"seawall.{name} says nothing about itself"


def test_dir_shows_the_public_face_and_nothing_else():
    shown = {name for name in dir(seawall) if not name.startswith("_")}
    assert shown == {name for name in seawall.__all__ if not name.startswith("_")}


def test_all_is_sorted_and_without_duplicates():
    assert len(set(seawall.__all__)) == len(seawall.__all__)
    assert list(seawall.__all__) == sorted(seawall.__all__, key=str)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = seawall.no_such_name


def test_the_command_and_the_bare_import_load_nothing_heavy():
    heavy = ["numpy", "numba", "polars", "matplotlib", "ccxt", "scipy", "highspy"]
    code = f"import sys, seawall, seawall.cli.app; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]", "these make every command slow to start"
