"""The dashboard beside a replay: served from a thread of this process, fed between events, kept open at the end.

Nothing depends on it: without the `server` extra, or without its browser files, the replay plays on and one line says
what is missing.
"""

from __future__ import annotations

import os
import select
import sys
import webbrowser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seawall.server.dashboard.engine_source import EngineSource
    from seawall.server.dashboard.run import Running

__all__ = ["Screen"]


class Screen:
    """port: where to serve, the next free one from 8810 on where None; browse: also open a browser, where there is a
    desktop. `note` says what came of it."""

    def __init__(self, port: int | None = None, browse: bool = True) -> None:
        self.port, self.browse = port, browse
        self.note = ""
        self.url = ""
        self._source: EngineSource | None = None
        self._running: Running | None = None
        self._replay: Any = None

    def begin(self, replay: Any, title: str) -> None:
        """Serves the replay's engine."""
        try:
            from seawall.server.dashboard import vendor
            from seawall.server.dashboard.engine_source import EngineSource
            from seawall.server.dashboard.run import start
        except ModuleNotFoundError as error:
            self.note = f"no dashboard: {error.name} is missing (pip install 'seawall[server]')"
            return
        if gone := vendor.missing():
            self.note = f"no dashboard: {', '.join(gone)} missing; run `{vendor.HOW}`"
            return
        self._replay = replay
        self._source = EngineSource(replay.engine, title=title, origin=replay.history.source)
        replay.log.listener = self._source.record
        self._running = start(self._source, port=self.port)
        self.url = self._running.url
        self.note = f"dashboard {self.url}"
        if self.browse and (sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            webbrowser.open(self.url)

    def frame(self) -> None:
        """Between events: tells the dashboard how things stand."""
        if self._source is None:
            return
        replay = self._replay
        for name, at_ns in replay.heard_ns.items():
            self._source.heard(name, replay.prices[name], at_ns)
        facts = {"tick_us": round(replay.busy_s / replay.ticks * 1e6, 2)} if replay.ticks else {}
        self._source.publish(**facts)

    def hold(self) -> None:
        """Goes on serving until Enter; at once where nobody can press it."""
        if self._source is None or not sys.stdin.isatty():
            return
        from seawall.cli import output

        output.console(highlight=False).print(f"\n{self.note} stays open: press Enter to end", markup=False, soft_wrap=True)
        while not select.select([sys.stdin], [], [], 0.1)[0]:
            self.frame()

    def close(self) -> None:
        """Ends the server."""
        if self._running is not None:
            self._running.close()
            self._running = None
