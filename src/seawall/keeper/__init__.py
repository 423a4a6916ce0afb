"""A keeper: a process that bids for failed accounts over a venue's public protocol (docs/keepers.md)."""
