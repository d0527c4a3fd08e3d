#!/usr/bin/env bash
# Prints the keys (secret) that this control plane encrypts Secrets with.
is_member || die "this machine is no control plane"
encryption_keys
