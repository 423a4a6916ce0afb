"""Compiling a function that Python calls together with all that it calls, as one program.

Numba optimises every function by itself and with all that it calls, translates it to machine code, gives it entries from
Python and from C, and links it into each caller, where the same is done again. And since any other library could call a
function that is linked, none loses an argument: each call copies every field of every array, some five hundred words for
the engine's. So functions for compiled code (`linked`) are typed and lowered, and little more; they become a part of
functions that Python calls (`entry`), where they are nobody else's: LLVM optimises them there once, drops what no
function reads and decides what to inline.

Numba takes these steps in methods of two classes; its own compiler ahead of time leaves the same ones out.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from llvmlite.binding import Linkage
from numba import config, njit, types
from numba.core.codegen import AOTCodeLibrary, JITCodeLibrary, JITCPUCodegen
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher

__all__ = ["entry", "linked"]


class _Codegen(JITCPUCodegen):
    """The process's own code generator, but for handing over to what runs code."""

    def __init__(self, codegen: Any):
        self.__dict__ = codegen.__dict__

    def _function_pass_manager(self, **options: Any) -> Any:
        """What makes a function small; the rest is done where it becomes a part of others."""
        return super()._function_pass_manager(opt=1, **options)

    def _add_module(self, module: Any) -> None:
        """Nothing is translated that is not added."""

    def set_env(self, env_name: str, env: Any) -> None:
        """Nothing added has a place to put it."""


class _Library(AOTCodeLibrary):
    """Code to link into that of callers, with that of all whom it calls."""

    def _optimize_final_module(self) -> None:
        """Callers do that."""

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0


class _EntryLibrary(JITCodeLibrary):
    """Code that owns all that is linked into it. Private, not internal: names of internal functions are known to what
    loads code, which would give them, less their arguments, to other libraries that have functions of that name."""

    def _optimize_final_module(self) -> None:
        for function in self._final_module.functions:
            if function.linkage == Linkage.linkonce_odr and not function.is_declaration:
                function.linkage = Linkage.private
        super()._optimize_final_module()


class _Compiler(Compiler):
    def define_pipelines(self) -> Any:
        state = self.state
        state.library = _Library(_Codegen(state.targetctx.codegen()), state.func_id.func_qualname)
        return super().define_pipelines()


class _EntryCompiler(Compiler):
    def define_pipelines(self) -> Any:
        state = self.state
        state.library = _EntryLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return super().define_pipelines()


class _Linked(CPUDispatcher):
    """A function for compiled code. Python may call it, as tests do: then it is compiled once more, as usual."""

    @cached_property
    def _alone(self) -> Any:
        options = {key: self.targetoptions[key] for key in ("error_model", "_nrt")}
        return njit(**options)(self.py_func)

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """A constant is typed like any number: there is one form of a function, whatever it is called with."""
        plain = {name: types.unliteral(given) for name, given in kws.items()}
        return super().get_call_template(tuple(map(types.unliteral, args)), plain)

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


def entry(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`njit` for a function whose linked code is its own."""
    decorator: Callable[[Callable[..., Any]], Any] = njit(pipeline_class=_EntryCompiler, **options)
    return decorator
