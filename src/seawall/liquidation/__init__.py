"""Closing a failed account: auctions, sizes, routes and who bears what is left, as pure state machines.

Nothing here moves money or knows a clock: each event gives outcomes, among them transfers that the ledger posts.
"""
