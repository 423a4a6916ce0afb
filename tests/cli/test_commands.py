"""The command as its users meet it: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from conftest import environment, shared_dir
from seawall.cli.app import app

COMMANDS = ("demo", "replay", "history", "margin", "explain", "compare", "conform", "bench",
            "liquidation-price", "what-if", "hedge", "diff", "efficiency", "journal",
            "serve", "keys", "keeper", "top", "account", "export", "stress")  # fmt: skip
SECONDS_MAX = 120


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def spawn(*words, stdout=subprocess.PIPE):
    line = [sys.executable, "-m", "seawall.cli.main", *map(str, words)]
    return subprocess.Popen(line, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment())


def run_python(code, *words):
    line = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=SECONDS_MAX)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A small demo, headless: (the JSON on stdout, its folder)."""
    folder = tmp_path_factory.mktemp("demo")
    done = invoke("demo", "--accounts", 300, "--seed", 3, "--headless", "--json", "--out", folder)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), folder


def test_help_names_every_command_and_is_quick():
    start = time.perf_counter()
    done = spawn("--help")
    out, err = done.communicate(timeout=SECONDS_MAX)
    assert done.returncode == 0
    assert err == ""
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert time.perf_counter() - start < 3.0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    done = invoke(command, "--help")
    assert done.exit_code == 0
    assert "Usage" in done.stdout
    assert "--json" in done.stdout


def test_the_demo_prints_one_object_with_counts_time_and_hash(played):
    summary, _ = played
    assert summary["label"] == "modelled"
    assert summary["accounts"] == 300
    assert summary["ticks"] == 8 * (75 * 60 + 1)
    assert set(summary["decisions"]) == {"margin_call", "liquidatable", "bankrupt", "recovered"}
    assert summary["decisions"]["liquidatable"] > 10
    assert len(summary["state_hash"]) == 64
    assert summary["wall_s"] > 0


def test_the_demo_leaves_a_picture_results_decisions_and_the_book(played):
    summary, folder = played
    decisions = pl.read_parquet(folder / "decisions.parquet")
    results = pl.read_parquet(folder / "results.parquet")
    assert decisions.height == summary["decisions_total"] == sum(summary["decisions"].values())
    assert results.height == 300
    assert {"account", "equity", "initial_margin", "maintenance_margin", "health", "status"} <= set(results.columns)
    assert (folder / "replay.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "summary.json").read_text())["state_hash"] == summary["state_hash"]
    assert {path.name for path in folder.iterdir()} >= {"market.json", "book.parquet"}


def test_the_same_seed_gives_the_same_state_and_another_seed_another(played, tmp_path):
    words = ("demo", "--accounts", 300, "--headless", "--json", "--out", tmp_path)
    again = json.loads(invoke(*words, "--seed", 3).stdout)
    other = json.loads(invoke(*words, "--seed", 4).stdout)
    assert again["state_hash"] == played[0]["state_hash"]
    assert again["decisions"] == played[0]["decisions"]
    assert other["state_hash"] != again["state_hash"]


def test_margin_of_the_demo_book_is_a_table_or_json(played):
    _, folder = played
    words = ("margin", folder / "book.parquet", folder / "market.json")
    done = invoke(*words, "--json")
    answer = json.loads(done.stdout)
    assert answer["accounts"] == 300
    assert len(answer["results"]) == 300
    assert sum(answer["by_status"].values()) == 300
    assert done.exit_code == 0
    table = invoke(*words, "--limit", 5)
    assert "maintenance margin" in table.stdout
    assert "5 of 300 accounts" in table.stdout
    one = json.loads(invoke(*words, "--json", "--account", "t0000001").stdout)
    assert [row["account"] for row in one["results"]] == ["t0000001"]


def test_every_margin_amount_in_json_is_a_decimal_string(played):
    _, folder = played
    row = json.loads(invoke("margin", folder / "book.parquet", folder / "market.json", "--json").stdout)["results"][0]
    assert all(isinstance(row[name], str) for name in ("equity", "initial_margin", "maintenance_margin", "health"))


def test_compare_puts_models_side_by_side(played):
    _, folder = played
    words = ("compare", folder / "book.parquet", folder / "market.json", "--json")
    rows = {row["model"]: row for row in json.loads(invoke(*words).stdout)["models"]}
    assert {"fixed", "cross", "portfolio"} <= set(rows)
    assert rows["portfolio"]["accounts"] == 300


def test_replay_takes_a_users_own_files(played, tmp_path):
    _, folder = played
    prices = tmp_path / "prices.csv"
    start = 1_760_128_200
    rows = [
        f"{start + i},{name},{price * (1 - i / 100)}"
        for i in range(30)
        for name, price in (("BTC", 121500), ("ETH", 4360))
    ]
    prices.write_text("ts,symbol,price\n" + "\n".join(rows) + "\n")
    words = (
        "replay",
        folder / "book.parquet",
        prices,
        "--market",
        folder / "market.json",
        "--out",
        tmp_path / "out",
        "--json",
    )
    done = invoke(*words)
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["ticks"] == 60
    assert summary["decisions"]["liquidatable"] > 0
    assert pl.read_parquet(tmp_path / "out" / "decisions.parquet").height == summary["decisions_total"]
    text = invoke(*words[:-1])
    assert "state hash" in text.stdout


def test_the_real_trades_of_the_crash_replay(tmp_path):
    prices = shared_dir() / "data" / "trades_1s_20251010_crash.parquet"
    words = ("demo", "--accounts", 200, "--prices", prices, "--from", "2025-10-10T21:10:00Z",
             "--to", "2025-10-10T21:20:00Z", "--headless", "--json", "--out", tmp_path)  # fmt: skip
    done = invoke(*words)
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["label"] == str(prices)
    assert summary["ticks"] > 10_000
    assert summary["decisions_total"] > 0


def test_the_real_option_chain_replays(tmp_path):
    prices = shared_dir() / "data" / "deribit_chain_2026.parquet"
    words = (
        "demo",
        "--accounts",
        200,
        "--prices",
        prices,
        "--to",
        "2026-01-10T00:00:00Z",
        "--headless",
        "--json",
        "--out",
        tmp_path,
    )
    done = invoke(*words)
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["surface_updates"] > 5
    assert summary["ticks"] > 10


BAD = {
    "no such book": ("margin", "none.parquet", "none.json"),
    "no such prices": ("demo", "--prices", "none.parquet", "--headless"),
    "no such model": ("demo", "--accounts", 5, "--model", "nonsense", "--headless"),
    "a bad time": ("history", "BTC/USDT", "--from", "yesterday", "--to", "2025-10-10T00:00:00Z"),
    "a bad picture": ("demo", "--picture", "gif", "--headless"),
    "a part of no prices": ("demo", "--from", "2025-10-10T21:00:00Z", "--headless"),
    "no such measure": ("bench", "nonsense"),
}


@pytest.mark.parametrize("words", BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_on_stderr_and_exit_code_two(words):
    done = invoke(*words)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", BAD.values(), ids=BAD.keys())
def test_bad_input_with_json_is_also_an_object(words):
    done = invoke(*words, "--json")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["error"] in done.stderr


@pytest.mark.parametrize("words", [("nonsense",), ("margin",), ("demo", "--accounts", "many"), ("demo", "--accounts", "4000000000"), ("--nonsense",)])
def test_a_wrong_command_line_is_exit_code_two_without_a_traceback(words):
    done = invoke(*words)
    assert done.exit_code == 2
    assert "Traceback" not in done.output


def test_an_output_folder_that_cannot_be_made_is_one_line(tmp_path, played):
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = invoke("demo", "--accounts", 5, "--headless", "--out", blocked / "inside")
    assert done.exit_code == 2
    assert "expected a writable folder" in done.stderr


# A process that interrupts itself once a module has begun to load: the sign that it is at that stage.
INTERRUPTS_ITSELF = """
import os, signal, sys, threading, time

def watch(module, wait):
    while module not in sys.modules:
        time.sleep(0.001)
    time.sleep(wait)
    os.kill(os.getpid(), signal.SIGINT)

module, wait = sys.argv[1], float(sys.argv[2])
sys.argv[1:] = sys.argv[3:]
threading.Thread(target=watch, args=(module, wait), daemon=True).start()
from seawall.cli.main import main
main()
"""
STAGES = {
    "while the command line loads": ("typer", 0.0),
    "while NumPy loads": ("numpy", 0.0),
    "while Numba loads": ("numba.core", 0.0),
    "while the engine loads": ("seawall.engine.loop", 0.0),
    "while kernels compile or accounts are evaluated": ("seawall.engine.loop", 1.5),
}


@pytest.mark.parametrize(("module", "wait"), STAGES.values(), ids=STAGES.keys())
def test_an_interrupt_at_any_stage_ends_cleanly_with_130(module, wait, tmp_path):
    words = ("demo", "--accounts", "200000", "--headless", "--json", "--out", tmp_path)
    done = run_python(INTERRUPTS_ITSELF, module, wait, *words)
    assert done.returncode == 130
    assert done.stdout == ""
    assert done.stderr.strip() == "interrupted"
    assert list(tmp_path.iterdir()) == []


# A command that goes on after the exception, as a library with an over-broad handler would.
DEAF = """
import os, signal, sys, time, types

def app(prog_name):
    os.kill(os.getpid(), signal.SIGINT)

def deaf(prog_name):
    while True:
        try:
            app(prog_name)
            time.sleep(600)
        except KeyboardInterrupt:
            time.sleep(600)

sys.modules["seawall.cli.app"] = types.SimpleNamespace(app=deaf)
from seawall.cli.main import main
main()
"""


def test_an_interrupt_ends_also_a_command_that_swallows_it():
    done = run_python(DEAF)
    assert done.returncode == 130
    assert done.stderr.strip() == "interrupted"


CLOSED_PIPE = {
    "a text": ("--help",),
    "an object": ("margin", "book", "market", "--json"),
    "a table": ("margin", "book", "market"),
}


@pytest.mark.parametrize("words", CLOSED_PIPE.values(), ids=CLOSED_PIPE.keys())
def test_a_closed_pipe_is_no_error(words, played):
    _, folder = played
    files = {"book": folder / "book.parquet", "market": folder / "market.json"}
    read, write = os.pipe()
    os.close(read)
    done = spawn(*(files.get(word, word) for word in words), stdout=write)
    os.close(write)
    _, err = done.communicate(timeout=SECONDS_MAX)
    assert err == ""
    assert done.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_under_the_output_is_one_line_and_exit_code_two():
    with open("/dev/full", "w") as full:
        done = spawn("--help", stdout=full)
        _, err = done.communicate(timeout=SECONDS_MAX)
    assert done.returncode == 2
    assert err.startswith("error: the output: found no space left")
    assert err.count("\n") == 1


def test_version_is_one_line():
    done = invoke("--version")
    assert done.exit_code == 0
    assert done.stdout.startswith("seawall ")


def test_paths_in_the_summary_exist(played):
    assert all(Path(path).exists() for path in played[0]["files"].values())
