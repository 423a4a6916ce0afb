"""The vocabulary: errors, units, times, instruments, events. Imports nothing else of Seawall."""
