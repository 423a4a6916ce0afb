"""The public protocol of keepers as the service speaks it: who may bid, what was signed, what is answered (docs/keepers.md)."""
