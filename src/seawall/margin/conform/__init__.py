"""Checks the models against published test vectors: `run(paths)` reads, computes and compares.

One reader per file family. A vector passes only if every figure that its source asserts was
computed here and met; what no reader understands, or the source itself does not assert, is
counted as unsupported with the reason, never as passed.
"""

from seawall.margin.conform.report import Case, Failure, FileReport, Reader, Report
from seawall.margin.conform.runner import run

__all__ = ["Case", "Failure", "FileReport", "Reader", "Report", "run"]
