"""The `seawall` command and what all its sub-commands share: exit codes and one-line errors.

Exit codes: 0 done, 1 the answer is no (or a bug of ours), 2 bad input, 130 interrupted (`main.py`). Errors go to
stderr as one line; with --json the same text is also an object on stdout, so that a machine never has to parse
prose.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from seawall.core.errors import MissingExtra, SeawallError, one_line

__all__ = ["app"]


class _Group(TyperGroup):
    """Turns every expected failure into one line and an exit code; a bug keeps its traceback."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        words = list(sys.argv[1:] if args is None else args)
        # Not through Typer's own main: it answers an interrupt without a word and a closed pipe with 1.
        extra = {key: value for key, value in extra.items() if key not in _TYPERS_OWN}
        try:
            code = self._answer(words, prog_name or "seawall", extra)
            if sys.stdout is not None:
                sys.stdout.flush()
        except BrokenPipeError:
            # The reader of our output has gone, as in `seawall … | head`: nothing is left to say to it.
            _forget_output()
            code = 0
        except OSError as error:
            if error.filename is not None:
                raise
            code = _fail(_unusable("the output", error), 2, [])
            _forget_output()
        sys.exit(code)

    def _answer(self, words: list[str], name: str, extra: dict[str, Any]) -> int:
        """Runs the command, tells what went wrong, and returns the exit code."""
        try:
            with self.make_context(name, list(words), **extra) as context:
                code = self.invoke(context)
                return code if isinstance(code, int) else 0
        except typer.Exit as leaving:
            return leaving.exit_code
        except SeawallError as error:
            return _fail(str(error), error.exit_code, words)
        except ModuleNotFoundError as error:
            extra_name = _EXTRAS.get((error.name or "").split(".")[0])
            if extra_name is None:
                raise
            return _fail(str(MissingExtra(str(error.name), extra_name)), 2, words)
        except OSError as error:
            if error.filename is None:
                raise
            return _fail(_unusable(str(error.filename), error), 2, words)
        except Exception as error:
            # Typer's usage errors carry their own text and code; it does not export their class.
            if not hasattr(error, "show") or not hasattr(error, "exit_code"):
                raise
            error.show()
            if "--json" in words:
                _print_error_object(_words_of(error))
            return int(error.exit_code)


_TYPERS_OWN = ("standalone_mode", "complete_var", "windows_expand_args")
_EXTRAS = {"matplotlib": "plot", "ccxt": "feeds", "scipy": "bench", "duckdb": "bench", "pandas": "bench",
           "pyarrow": "bench", "QuantLib": "bench", "highspy": "hedge",
           "fastapi": "server", "uvicorn": "server", "uvloop": "server", "httptools": "server", "websockets": "server",
           "httpx": "server", "cryptography": "server"}  # fmt: skip

app = typer.Typer(
    cls=_Group,
    name="seawall",
    help="Real-time margin engine for derivatives venues: exact margin for every account, on every tick.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _fail(text: str, code: int, words: list[str]) -> int:
    text = one_line(text)
    print(f"error: {text}", file=sys.stderr)
    if "--json" in words:
        _print_error_object(text)
    return code


def _words_of(error: Exception) -> str:
    """A usage error as Typer shows it, with the option that it is about."""
    message = getattr(error, "format_message", None)
    return str(error) if message is None else str(message())


def _unusable(place: str, error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    return f"{place}: found {reason}, expected something that can be read or written"


def _forget_output() -> None:
    """What is still buffered for stdout goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_error_object(text: str) -> None:
    import json

    print(json.dumps({"error": text}))


def _print_version(asked: bool) -> None:
    if asked:
        try:
            number = metadata.version("seawall")
        except metadata.PackageNotFoundError:
            number = "from a source tree, not installed"
        print(f"seawall {number}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print it."
    ),
) -> None:
    # BLAS threads spin and there is no BLAS on any hot path here; must be set before NumPy loads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _register() -> None:
    from seawall.cli import (
        account,
        bench,
        compare,
        conform,
        demo,
        diff,
        efficiency,
        explain,
        export,
        hedge,
        history,
        journal,
        keeper,
        keys,
        liquidation,
        margin,
        replay,
        serve,
        stress,
        top,
        what_if,
    )

    for module in (
        demo, replay, history, margin, explain, liquidation, what_if, hedge, diff, compare, efficiency, conform, bench,
    ):  # fmt: skip
        app.command(module.NAME)(module.command)
    for module in (serve, top, account, export, keeper):
        app.command(module.NAME)(module.command)
    app.add_typer(journal.app)
    app.add_typer(keys.app)
    app.add_typer(stress.app)


_register()
