"""Closing failed accounts in a running service: who is looked at when, what the looks say, and how all of it is told."""
