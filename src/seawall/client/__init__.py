"""The Python client of a running service: `seawall.client.Client` and `AsyncClient`."""
