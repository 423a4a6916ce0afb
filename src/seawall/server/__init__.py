"""The service: one process in which the clearing, its journal and all that looks in or writes live."""
