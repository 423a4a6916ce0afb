"""How kernels are compiled: without reference counts, since they only read and write arrays that
their callers hold. Numba would otherwise count, atomically, every view of a row; here that costs more
than the arithmetic, and half of the compile time.

`inner` is for what compiled code calls (see `linked.py`), `entry` for what Python calls (kept on disk, and the lock of
the interpreter released), `once` for what is called from one place, or is too small for a call, which copies every
array it is given: it becomes a part of its caller before that is typed. None may allocate an array or return
one to Python.
"""

from numba import njit

from seawall.kernels.linked import linked

inner = linked(error_model="numpy", _nrt=False)
entry = njit(error_model="numpy", _nrt=False, nogil=True, cache=True)
once = njit(error_model="numpy", _nrt=False, inline="always")
