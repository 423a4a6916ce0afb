"""How kernels are compiled: without reference counts, since they only read and write arrays that
their callers hold. Numba would otherwise count, atomically, every view of a row; here that costs more
than the arithmetic, and half of the compile time.

`inner` is for what compiled code calls, `entry` for what Python calls (see `linked.py`; kept on disk, and the lock of the
interpreter released), `once` for what is called from one place, or is too small for a call: it becomes a part of its
caller before that is typed. None may allocate an array or return one to Python; `whole` is an `entry` that may.
"""

from numba import njit

from seawall.kernels import linked

inner = linked.linked(error_model="numpy", _nrt=False)
entry = linked.entry(error_model="numpy", _nrt=False, nogil=True, cache=True)
whole = linked.entry(error_model="numpy", nogil=True, cache=True)
once = njit(error_model="numpy", _nrt=False, inline="always")
