"""Rules that are one venue's own; everything shared is in the general mechanisms one level up."""
