"""Shared by every app: settings, logging, signals, and an HTTP server for probes and metrics.

`kubernetes` is a client of the API server, for two apps. Every pod imports this package, so it stays small
(docs/adr/0019-servers-and-clients.md has the cost of its libraries).
"""
