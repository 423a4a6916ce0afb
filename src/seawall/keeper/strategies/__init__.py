"""Strategies that come with the keeper: `value`, `market-maker` and `ranked`."""
