"""Compiling functions that compiled code calls: each is typed, lowered and optimised, to become a part of its callers,
and nothing more. Numba would translate each to machine code too, and give it entries from Python and from C: a third
of the time to compile, for code that nobody runs. And it would link what translation makes of a function, which is
already cut to the processor, where here callers get the plain form: their own code is the faster for it.

Numba takes these steps in methods of two classes; its own compiler ahead of time leaves the same ones out.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from numba import config, njit
from numba.core.codegen import AOTCodeLibrary, JITCPUCodegen
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher

__all__ = ["linked"]


class _Codegen(JITCPUCodegen):
    """The process's own code generator, but for handing over to what runs code."""

    def __init__(self, codegen: Any):
        self.__dict__ = codegen.__dict__

    def _add_module(self, module: Any) -> None:
        """Nothing is translated that is not added."""

    def set_env(self, env_name: str, env: Any) -> None:
        """Nothing added has a place to put it."""


class _Library(AOTCodeLibrary):
    """Optimised code to link into that of callers."""

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0


class _Compiler(Compiler):
    def define_pipelines(self) -> Any:
        state = self.state
        state.library = _Library(_Codegen(state.targetctx.codegen()), state.func_id.func_qualname)
        return super().define_pipelines()


class _Linked(CPUDispatcher):
    """A function for compiled code. Python may call it, as tests do: then it is compiled once more, as usual."""

    @cached_property
    def _alone(self) -> Any:
        options = {key: self.targetoptions[key] for key in ("error_model", "_nrt")}
        return njit(**options)(self.py_func)

    def __call__(self, *arguments: Any) -> Any:
        return self._alone(*arguments)


def linked(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator like `njit(error_model=, _nrt=)`."""
    options |= {"nopython": True, "boundscheck": None, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

    def decorate(function: Callable[..., Any]) -> Any:
        if config.DISABLE_JIT:
            return function
        return _Linked(py_func=function, targetoptions=dict(options), pipeline_class=_Compiler)

    return decorate
