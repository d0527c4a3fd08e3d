"""Kubernetes' own conformance tests on the lab: `make conformance`. pytest does not collect them."""
