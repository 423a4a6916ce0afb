"""The running service: one writer behind an HTTP and WebSocket API, its stream, its keys and its operators' tools."""
