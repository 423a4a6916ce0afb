"""Cascades: a closed loop in which liquidations move the price that triggers further ones.

`depth` says how far selling moves a price, `venue` who holds what, `world` keeps everybody's money and
positions, `policies` say what a venue does with failed accounts, `loop` runs them over one path.
"""
