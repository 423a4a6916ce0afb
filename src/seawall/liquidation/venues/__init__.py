"""Liquidation rules that are a venue's own, each re-stated from its published source and tested against its figures."""
