"""Venues: published margin rules as models in the same kernels, with the venue's parameters."""
