"""A crash rehearsed at a venue of several processes: the service, the markets outside, keepers; all over the public API."""
