"""What every app's process needs beside its own work: settings, logging, signals, a server for probes and metrics.

`kubernetes` asks the API server, for the two apps that need it. Every pod imports this package, so it stays small:
docs/adr/0019-servers-and-clients.md has what its libraries cost.
"""
