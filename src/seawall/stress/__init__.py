"""Trying the engine: modelled markets and populations, replays of real prices, reports.

Everything random here comes from a seed that the caller gives, and everything modelled says so.
"""
