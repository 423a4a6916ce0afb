"""docs/api.md and docs/operations.md do what they say: their commands run here, in their order, against a real service."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT, environment
from seawall.server.keys import KeyFile
from server.running import running

API = (ROOT / "docs" / "api.md").read_text("utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the examples use curl, which is not installed")


@pytest.fixture(scope="module")
def venue(tmp_path_factory):
    with running(tmp_path_factory.mktemp("venue")) as found:
        _, text = KeyFile(found.config.keys_path).create("desk", ["read", "trade", "risk", "admin"])
        found.call(lambda: found.desk.keys.refresh())
        yield found, text


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.S)


def shell(tmp_path, text, **variables):
    """Runs a block with `seawall` on its path, as a user would."""
    tools = tmp_path / "bin"
    tools.mkdir(exist_ok=True)
    command = tools / "seawall"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m seawall.cli.main "$@"\n', "utf-8")
    command.chmod(0o755)
    env = environment() | variables
    env["PATH"] = f"{tools}{os.pathsep}{env['PATH']}"
    return subprocess.run(["bash", "-eu", "-o", "pipefail", "-c", text], capture_output=True, text=True, env=env, cwd=tmp_path, timeout=240)


@needs_curl
def test_every_curl_of_the_api_page_is_answered_with_what_was_asked(venue, tmp_path):
    service, key = venue
    commands = [line for block in blocks(API, "sh") for line in re.split(r"\n(?=curl)", block) if line.startswith("curl")]
    assert len(commands) >= 17
    for command in commands:
        done = shell(tmp_path, command.replace("curl -s", "curl -s -w '\\n%{http_code}'"), URL=service.url, SEAWALL_KEY=key)
        body, _, status = done.stdout.rpartition("\n")
        assert status == "200", f"{command}\n{body}"
        if "csv" not in command and "metrics" not in command:
            json.loads(body)


def test_the_python_of_the_api_page_runs(venue, tmp_path):
    service, key = venue
    (code,) = blocks(API, "python")
    # The stream needs something to tell: money comes in while it listens.
    more = (
        "import os, threading, time\nfrom seawall.client import Client as C\n"
        "def pay():\n    while True:\n        time.sleep(0.3); C(os.environ['URL']).deposit('alice', 1)\n"
        "threading.Thread(target=pay, daemon=True).start()\n"
    )
    env = environment() | {"URL": service.url, "SEAWALL_KEY": key}
    done = subprocess.run([sys.executable, "-c", more + code], capture_output=True, text=True, env=env, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "True" in done.stdout or "False" in done.stdout
    assert "Snapshot(" in done.stdout


def test_the_pages_table_of_writes_is_the_codes(venue):
    from seawall.server.api.writing import WRITES

    table = API.partition("| path | scope | does |")[2].partition("\n\n")[0]
    told = {
        path: scope.strip()
        for row in table.splitlines()[2:]
        for path in re.findall(r"`(/v1/[a-z-]+)`", row)
        for scope in [row.split("|")[2].replace(" or ", "|")]
    }
    assert told == {one.path: one.scope for one in WRITES}


def test_every_metric_is_explained_and_every_explained_one_exists(venue):
    service, _ = venue
    with service.client("read") as client:
        client.get("/v1/none")
        text = client.get("/metrics").text
    shown = set(re.findall(r"^# TYPE (\w+)", text, flags=re.M))
    told = set(re.findall(r"`(seawall_\w+)", OPERATIONS))
    from seawall.server.metrics import COUNTER_WORDS

    boring = {"seawall_sequence", "seawall_durable_sequence", "seawall_stream_messages", "seawall_started_seconds"}
    assert shown - told <= boring
    assert told <= shown | set(COUNTER_WORDS)


def test_the_operators_page_runs_from_start_to_restore(tmp_path):
    (tmp_path / "examples").mkdir()
    for name in ("venue.toml", "venue-market.json", "venue-book.csv"):
        shutil.copy(ROOT / "examples" / name, tmp_path / "examples" / name)
    start, _, keys, rotate, back_up, restore = blocks(OPERATIONS, "sh")[:6]
    lines = [line for line in start.splitlines() if not line.startswith(("make setup", "seawall serve -c venue/venue.toml"))]
    done = shell(tmp_path, "\n".join(lines) + "\nseawall serve -c venue/venue.toml --check\n" + keys + rotate)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "risk-desk.key").read_text("utf-8").startswith("sw_")
    listed = json.loads(shell(tmp_path, "seawall keys list -c venue/venue.toml --json").stdout)["keys"]
    assert [key["state"] for key in listed] == ["valid", "revoked", "valid"]
    path = tmp_path / "venue" / "venue.toml"
    path.write_text(path.read_text("utf-8").replace("port = 8460", "port = 0"), "utf-8")
    serving = f'exec "{sys.executable}" -m seawall.cli.main serve -c venue/venue.toml --json'
    process = subprocess.Popen(["bash", "-c", serving], stdout=subprocess.PIPE, text=True, env=environment(), cwd=tmp_path)
    try:
        url = json.loads(process.stdout.readline())["listening"]
        watch = "\n".join(blocks(OPERATIONS, "sh")[1].splitlines()).replace("http://127.0.0.1:8460", url)
        done = shell(tmp_path, watch + "\n" + back_up, SEAWALL_URL=url)
        assert done.returncode == 0, done.stderr
        assert "alice" in done.stdout
        assert (tmp_path / "accounts.csv").read_text("utf-8").count("\n") == 5
        assert "seq" in (tmp_path / "backup-head.txt").read_text("utf-8")
    finally:
        process.terminate()
        assert process.wait(60) == 0
        process.stdout.close()
    done = shell(tmp_path, restore)
    assert done.returncode == 0, done.stderr
