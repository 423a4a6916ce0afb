"""Compiling in a second process: it saves time, and nothing else depends on it."""

from __future__ import annotations

import logging
import os
import resource
import signal
import subprocess
import sys
import time

import numba
import pytest

import samples
from conftest import ROOT
from seawall.cli import compiling
from seawall.market.market import Market
from seawall.stress.population import populate

SECONDS_MAX = 120
CERTIFYING = ("portfolio", "fixed", "cross", "dydx")


@pytest.fixture
def unmarked(tmp_path, monkeypatch):
    """As if no child had been through yet. What is on disk is still loaded from there."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))


@pytest.fixture
def asked():
    """A book and the market it is for."""
    market = Market.from_document(samples.market_document())
    return populate(market, 20, seed=2), market


@pytest.fixture
def debug_log(caplog):
    caplog.set_level(logging.DEBUG, logger="seawall.cli.compiling")
    return caplog


def environment(**more):
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)} | more


def run_python(code, *words):
    line = [sys.executable, "-c", code, *words]
    done = subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=SECONDS_MAX)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_child_that_has_been_through_leaves_a_mark_and_none_is_started_again(asked, monkeypatch, debug_log):
    marker = compiling._marker()
    marker.unlink(missing_ok=True)
    with compiling.beside("portfolio") as join:
        join(*asked)
    assert marker.exists(), debug_log.text
    monkeypatch.setattr(subprocess, "Popen", None)
    with compiling.beside("portfolio") as join:
        join(*asked)
    assert debug_log.text == ""


def test_a_model_without_certificates_needs_no_child(unmarked, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    with compiling.beside("derive-standard") as join:
        assert join(None, None) is None


def test_a_child_that_fails_is_told_in_the_debug_log_and_does_no_harm(
    unmarked, asked, tmp_path, monkeypatch, debug_log
):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no room on the disk >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with compiling.beside("fixed") as join:
        join(*asked)
    assert "ended with 3" in debug_log.text
    assert "no room on the disk" in debug_log.text
    assert not compiling._marker().exists()


def test_where_no_process_can_be_started_the_debug_log_says_so(unmarked, asked, tmp_path, monkeypatch, debug_log):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
    with compiling.beside("fixed") as join:
        join(*asked)
    assert "no second process" in debug_log.text


def test_a_command_that_fails_leaves_no_child(unmarked, monkeypatch):
    started = []
    start = compiling._start
    monkeypatch.setattr(compiling, "_start", lambda model: started.append(start(model)) or started[-1])
    with pytest.raises(KeyError), compiling.beside("fixed"):
        raise KeyError
    assert started[0].returncode is not None


# The demo, with nothing compiled, that tells the number of its child.
TELLS = """
import sys
from seawall.cli import compiling
start = compiling._start

def telling(model):
    child = start(model)
    print(child.pid, flush=True)
    return child

compiling._start = telling
from seawall.cli.main import main
main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_the_child_ends_with_the_demo_whatever_ends_that(number, code, tmp_path):
    line = [sys.executable, "-c", TELLS, "demo", "--accounts", "50", "--headless", "--out", str(tmp_path / "out")]
    nothing_compiled = environment(NUMBA_CACHE_DIR=str(tmp_path / "kernels"))
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=nothing_compiled
    ) as demo:
        child = int(demo.stdout.readline())
        time.sleep(2.0)
        assert alive(child), "it ended before it was to"
        demo.send_signal(number)
        _, said = demo.communicate(timeout=SECONDS_MAX)
    assert demo.returncode == code
    assert said == ("interrupted\n" if number == signal.SIGINT else "")
    deadline = time.monotonic() + 20.0
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(child)


# A command that compiles, interrupted as soon as the n-th call of a function of the compiler has returned: where Python
# raises when an interrupt comes during that call, and before llvmlite has noted what the call did.
INTERRUPTED_AFTER = """
import signal, sys, types
from llvmlite.binding import ffi
from seawall.cli.main import main

name, left = sys.argv[1], int(sys.argv[2])
call = ffi._lib_fn_wrapper.__call__

def interrupted(self, *arguments):
    global left
    out = call(self, *arguments)
    if self._cfn.__name__ == name:
        left -= 1
        if left == 0:
            print("there", flush=True)
            signal.raise_signal(signal.SIGINT)
    return out

def app(prog_name):
    import numba
    ffi._lib_fn_wrapper.__call__ = interrupted
    numba.njit(lambda x: x // 3 + 1)(1)

sys.modules["seawall.cli.app"] = types.SimpleNamespace(app=app)
main()
"""


@pytest.mark.parametrize(
    ("function", "nth"),
    [("LLVMPY_LinkModules", 1), ("LLVMPY_LinkModules", 2), ("LLVMPY_AddModule", 1), ("LLVMPY_FinalizeObject", 1)],
)
def test_an_interrupt_inside_the_compiler_ends_with_130_and_does_not_unwind_through_it(function, nth):
    line = [sys.executable, "-c", INTERRUPTED_AFTER, function, str(nth)]
    done = subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=SECONDS_MAX, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "there\n", "interrupted\n")


def alive(process):
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return state.stdout.strip()[:1] not in ("", "Z")


COMES_TO_ITS_STEP = """
import sys
from seawall.cli import compiling
from seawall.engine import pricer, step

def process(*arguments):
    print(len(pricer.fill_cells.signatures) + len(pricer.fill_tiers.signatures))
    sys.exit()

step.process = process
compiling.compile_step(sys.argv[1])
"""


@pytest.mark.parametrize("model", CERTIFYING)
def test_the_child_comes_to_the_step_before_anything_that_the_parent_compiles(model):
    assert run_python(COMES_TO_ITS_STEP, model) == ["0"]


SAME_TYPES = """
import sys
from seawall.cli import compiling
from seawall.engine import nodes, pricer, step
from seawall.engine.loop import Engine
from seawall.margin import portfolio, tiered
from seawall.market.market import Market
from seawall.stress.crash import modelled_crash
from seawall.stress.population import populate

fills = portfolio.fill_cells, tiered.fill_tiers
kernels = [step.process, step.price_bucket, nodes.fill_slopes, nodes.fill_strays, *fills]
compiling.compile_step(sys.argv[1])
portfolio.fill_cells, tiered.fill_tiers = fills
before = [len(kernel.signatures) for kernel in kernels]
market = Market.from_document(modelled_crash(7)[0].document)
Engine(populate(market, 200, 7), market, sys.argv[1])
print(before == [len(kernel.signatures) for kernel in kernels], max(before))
"""


@pytest.mark.parametrize("model", ["portfolio", "fixed"])
def test_the_child_compiles_for_the_very_types_that_the_demo_calls_with(model):
    assert run_python(SAME_TYPES, model) == ["True", "1"]


def deepest_faults(depth, calls):
    """The most page faults of a loop of that many calls, over all depths of frames up to `depth`."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(calls):
        nothing()
    here = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return max(here, deepest_faults(depth - 1, calls) if depth else 0)


def nothing():
    pass


def test_with_room_no_depth_of_frames_is_where_every_call_faults():
    assert compiling.with_room(deepest_faults, 300, 2000) < 500
