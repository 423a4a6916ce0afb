"""The demo in a terminal: the dashboard is served beside it, says where, and stays open until Enter."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
import urllib.request

import pytest

from conftest import environment

pty = pytest.importorskip("pty", reason="no pseudo-terminals here")
pytest.importorskip("uvicorn", reason="the server extra is not installed")
SECONDS_MAX = 120


def read_until(screen, pattern, seen):
    """Reads the terminal until a pattern has come; returns everything so far and the match."""
    end = time.monotonic() + SECONDS_MAX
    while time.monotonic() < end:
        found = re.search(pattern, seen)
        if found:
            return seen, found
        if select.select([screen], [], [], 0.2)[0]:
            seen += os.read(screen, 65536).decode("utf-8", "replace")
    raise AssertionError(f"{pattern} did not come; the terminal ends with {seen[-2000:]!r}")


def test_the_demo_serves_the_dashboard_and_ends_with_enter(tmp_path):
    from seawall.server.dashboard import vendor

    if vendor.missing():
        pytest.skip(f"the dashboard's browser files are not here: run `{vendor.HOW}`")
    ours, theirs = pty.openpty()
    line = [sys.executable, "-m", "seawall.cli.main", "demo", "--engine", "--accounts", "200", "--speed", "0", "--port", "0",
            "--no-browse", "--out", str(tmp_path)]  # fmt: skip
    child = subprocess.Popen(line, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=environment() | {"COLUMNS": "150", "LINES": "45", "TERM": "xterm"})
    os.close(theirs)
    try:
        seen, found = read_until(ours, r"dashboard (http://127\.0\.0\.1:\d+/) stays open", "")
        with urllib.request.urlopen(found[1], timeout=30) as answer:
            assert "default-src 'self'" in answer.headers["content-security-policy"]
            assert b"Seawall" in answer.read()
        with urllib.request.urlopen(found[1] + "api/accounts?limit=3&sort=maintenance", timeout=30) as answer:
            assert b'"total":200' in answer.read()
        os.write(ours, b"\n")
        end = time.monotonic() + 60
        while child.poll() is None and time.monotonic() < end:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    seen += os.read(ours, 65536).decode("utf-8", "replace")
                except OSError:
                    break  # the terminal's other end is closed
        assert child.wait(60) == 0, child.stderr.read().decode()
    finally:
        child.kill()
        child.wait()
        os.close(ours)
