"""Where a margin requirement comes from: one file per kind of tables, each splitting what its kernel adds up.

Every file gives, for one account, nano or micro per leg and component. They retrace the kernel's own steps
on integers, so that what they add up to is the kernel's figure; `explain.py` checks that it is.
"""

from seawall.margin.parts.shares import Parts, parts_of

__all__ = ["Parts", "parts_of"]
