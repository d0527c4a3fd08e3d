"""The lab: machines, registry and toolchain on one host, built from package registries only."""
