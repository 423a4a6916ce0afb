"""When: the event loop, the certificates that let it skip accounts, and its decisions."""
