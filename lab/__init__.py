"""The embedded default: machines, registry and toolchain on one host, built from package registries alone."""
