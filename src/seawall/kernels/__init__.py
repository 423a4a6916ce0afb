"""Arithmetic on arrays: no domain words, no objects, every function compiled by Numba."""
