"""A small venue for the dashboard's tests: an engine that is stepped by the test, and a thread that publishes it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

from seawall.engine.loop import Engine
from seawall.market.market import Market
from seawall.server.dashboard.engine_source import EngineSource
from seawall.server.dashboard.run import start
from seawall.stress.crash import modelled_crash
from seawall.stress.population import populate
from seawall.stress.replay import Replay

STEP_NS = 60 * 10**9


class Scene:
    """An engine in the modelled crash. `advance(minutes)` plays on; `ahead_ns` makes the clock of ages run ahead of prices."""

    def __init__(self, accounts=1_500, model="portfolio", share=0.5):
        board, history = modelled_crash(7, step_s=15.0)
        self.market = Market.from_document(board.document)
        self.engine = Engine(populate(self.market, accounts, seed=7), self.market, model)
        self.replay = Replay(self.engine, history)
        self.source = EngineSource(self.engine, title="A modelled crash", origin="modelled", share=share)
        self.replay.log.listener = self.source.record
        self.ahead_ns = 0
        self.silent = False
        self._steps = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._pump, daemon=True)

    def _pump(self):
        """The engine's thread: the steps that the test asks for, and publishing between them."""
        while not self._stop.is_set():
            while self._steps:
                step, done = self._steps.pop(0)
                step()
                done.set()
            if not self.silent:
                self.source.publish(now_ns=self.engine.at_ns + self.ahead_ns, tick_us=3.2)
            time.sleep(0.01)

    def do(self, step):
        """Runs something on the engine's thread, and waits for it."""
        done = threading.Event()
        self._steps.append((step, done))
        assert done.wait(240), "the engine's thread is stuck"

    def advance(self, minutes):
        """Plays market time."""

        def step():
            self.replay.advance(self.replay.now_ns + int(minutes * STEP_NS))
            for name, at_ns in self.replay.heard_ns.items():
                self.source.heard(name, self.replay.prices[name], at_ns)

        self.do(step)

    def tick(self, name, price):
        """One price, now."""

        def step():
            self.source.record(self.engine.tick(name, price))
            self.source.heard(name, price)

        self.do(step)

    def level_of(self, name):
        """The recorded status of an account."""
        return self.engine.status(name)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(10)


@contextmanager
def served(scene, **options):
    """A dashboard over the scene, on a free port."""
    with start(scene.source, port=0, **options) as running:
        yield running


def served_at(scene, port):
    """A dashboard on a certain port."""
    return start(scene.source, port=port)
