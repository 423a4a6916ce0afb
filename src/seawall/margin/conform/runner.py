"""Finds vector files, recognises their family, and counts what each vector says."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from seawall.core.errors import InputError, LimitExceeded, UnreadableFile
from seawall.margin.conform import derive_pmrm, derive_srm, dydx
from seawall.margin.conform.reading import BadVector
from seawall.margin.conform.report import Case, Check, FileReport, Reader, Report, Unsupported

Judge = Callable[[dict[str, Any], dict[str, Any], Check], None]


def run(paths: Iterable[str | Path], readers: Sequence[Reader] = ()) -> Report:
    """Judges every vector of the files and of the *.json files in the folders given.

    readers: of further formats, from layers above; each file is the first one's that knows it, margin's come last.
    Raises InputError for a path that is not there, a file that is no JSON, or a row of a known
    family without the fields its family has.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found = sorted(path.glob("*.json"))
            if not found:
                raise InputError(str(path), "a folder without *.json", "vector files")
            files.extend(found)
        elif path.is_file():
            files.append(path)
        else:
            raise InputError(str(path), "nothing there", "a vector file or a folder of them")
    if not files:
        raise InputError("conform", "no path", "a vector file or a folder of them")
    every = (*readers, _margin_cases)
    return Report(tuple(_judge_file(path, every) for path in files))


def _load(path: Path) -> Any:
    def refuse(text: str) -> float:
        raise UnreadableFile(str(path), text, "finite numbers")

    try:
        return json.loads(path.read_text("utf-8"), parse_constant=refuse)
    except (OSError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UnreadableFile(str(path), f"no JSON ({error})", "a JSON file of vectors") from None


def _judge_file(path: Path, readers: Sequence[Reader]) -> FileReport:
    data = _load(path)
    if not isinstance(data, dict | list) or not data:
        raise UnreadableFile(str(path), "no vectors", "a JSON object with vectors")
    try:
        cases = next((found for reader in readers if (found := reader(data)) is not None), None)
    except BadVector as error:
        raise InputError(str(path), error.found, error.expected) from error
    if cases is None:
        count = _count(data)
        return FileReport(str(path), 0, 0, count, (), {"no model here answers this family of vectors": count})
    passed = failed = 0
    failures = []
    reasons: Counter[str] = Counter()
    for name, judge in cases:
        check = Check(name)
        try:
            judge(check)
            if not check.compared:
                raise Unsupported("the source asserts no figure")
        except Unsupported as reason:
            if not check.failures:  # what differs is a failure whatever else could not be judged
                reasons[str(reason)] += 1
                continue
        except LimitExceeded as error:
            reasons[f"beyond the int64 range of the ledger: {error.place}"] += 1
            continue
        except InputError as error:
            where = "" if isinstance(error, BadVector) else f", {error.place}"
            raise InputError(f"{path}, {name}{where}", error.found, error.expected) from error
        failures.extend(check.failures)
        passed += not check.failures
        failed += bool(check.failures)
    return FileReport(str(path), passed, failed, sum(reasons.values()), tuple(failures), dict(reasons))


def _margin_cases(data: Any) -> list[Case] | None:
    """The cases of the formats that concern margin."""
    family = _family(data)
    if family is None:
        return None
    return cases(family[0], data, family[1])


def cases(judge: Judge, data: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[Case]:
    """A case for each row of a file, named by its id, its name or its position."""
    names = (str(row.get("id") or row.get("name") or f"vectors[{position}]") for position, row in enumerate(rows))
    return [Case(name, partial(_judge_row, judge, data, row)) for name, row in zip(names, rows)]


def _judge_row(judge: Judge, data: dict[str, Any], row: dict[str, Any], check: Check) -> None:
    _check_skeleton(row)
    judge(data, row, check)


def _family(data: Any) -> tuple[Judge, list[dict[str, Any]]] | None:
    """The judge of a file's vectors and the vectors, or None where no reader knows them."""
    if not isinstance(data, dict):
        return None
    rows, isolated = _rows(data, "vectors"), _rows(data, "isolated_vectors")
    if rows and all(str(row.get("model", "")).startswith("PMRM") for row in rows):
        return derive_pmrm.judge, rows
    if isolated or (rows and all(_has(row, "input", "markets") and _has(row, "input", "params") for row in rows)):
        if all(_has(row, "input", "markets") for row in rows):
            return derive_srm.judge, [*rows, *isolated]
    if str(data.get("protocol", "")).startswith("dYdX") and rows:
        return dydx.judge, rows
    return None


def _check_skeleton(row: dict[str, Any]) -> None:
    """The parts of a vector that hold fields are objects. Raises BadVector."""
    expected = row.get("expected", {})
    components = expected.get("components") if isinstance(expected, dict) else None
    parts = {"input": row.get("input", {}), "expected": expected, "components": components or {}}
    for name, part in (parts | {"tolerance": row.get("tolerance", {})}).items():
        if not isinstance(part, dict):
            raise BadVector("vector", f"{name} of {part!r}", "an object of fields")
    if not ("input" in row or "inputs" in row) or "expected" not in row:
        raise BadVector("vector", "no input or no expected figures", "both")


def _rows(data: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = data.get(name)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _has(row: dict[str, Any], outer: str, inner: str) -> bool:
    return isinstance(row.get(outer), dict) and inner in row[outer]


def _count(data: Any) -> int:
    """How many vectors a file of an unknown family seems to hold."""
    if isinstance(data, list):
        return max(1, len(data))
    named = [value for key, value in data.items() if "vectors" in key or key == "cases"]
    lists = named or list(data.values())
    return max(1, sum(len(value) for value in lists if isinstance(value, list)))
