"""Makes the bundle for a site whose machines reach no network but their own: `python -m production.bundle`."""
