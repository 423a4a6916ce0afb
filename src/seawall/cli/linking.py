"""Compiling functions that only compiled code calls, in a process that compiles and ends: each is typed, lowered and
optimised, to become a part of its callers, and nothing more. Numba would translate each to machine code too and give it
entries from Python and from C; of the time that the engine's step takes that is a third, and nobody would ever call it.

Numba makes these steps in methods of two classes, and its own compiler ahead of time leaves the same two out. Where a
later Numba has them no more, this module fails to import or to compile, which ends the process that tried: what it was to
compile is then compiled where it is called, see `compiling.py`.
"""

from __future__ import annotations

from typing import Any

from numba import njit
from numba.core.codegen import AOTCodeLibrary, JITCPUCodegen
from numba.core.compiler import Compiler

__all__ = ["inner"]


class _Codegen(JITCPUCodegen):
    """The process's own code generator, but for handing over to its machine."""

    def __init__(self, codegen: Any):
        self.__dict__ = codegen.__dict__

    def _add_module(self, module: Any) -> None:
        """Nothing is translated that is not added."""

    def set_env(self, env_name: str, env: Any) -> None:
        """The machine has no such name."""


class _Library(AOTCodeLibrary):
    """Optimised code to link into that of callers."""

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0


class _Linked(Compiler):
    def define_pipelines(self) -> Any:
        state = self.state
        state.library = _Library(_Codegen(state.targetctx.codegen()), state.func_id.func_qualname)
        return super().define_pipelines()


# a call from Python would crash
inner = njit(error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True, pipeline_class=_Linked)
