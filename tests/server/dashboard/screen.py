"""A dashboard in a process of its own over a running service, for tests."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import httpx

from conftest import environment
from seawall.server.dashboard.__main__ import KEY_VARIABLE

START_S = 120


class Screen:
    """A dashboard in a process of its own, as `seawall serve` starts it."""

    def __init__(self, venue, port=0):
        line = [sys.executable, "-m", "seawall.server.dashboard", "--service", venue.url, "--board", str(venue.config.board_path),
                "--port", str(port)]  # fmt: skip
        self.process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=environment() | {KEY_VARIABLE: venue.keys["read"]})
        said = ""
        for text in self.process.stderr:
            said += text
            if found := re.search(r"dashboard (http://\S+)", text):
                self.url = found[1]
                break
        else:
            raise AssertionError(f"it did not start: {said}")
        self.http = httpx.Client(base_url=self.url, headers={"origin": self.url.rstrip("/")}, timeout=120)

    def get(self, path):
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def until(self, ask, holds):
        """Asks until the answer holds."""
        end = time.monotonic() + START_S
        while True:
            found = ask()
            if holds(found):
                return found
            assert time.monotonic() < end, f"it stays {found}"
            time.sleep(0.1)

    def close(self):
        self.http.close()
        self.process.terminate()
        assert self.process.wait(30) in (0, -signal.SIGTERM)
        self.process.stderr.close()
