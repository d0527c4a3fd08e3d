#!/usr/bin/env bash
# The data goes with the volumes.
: "${ROOT:?}"
rm -rf "${ROOT:?}"
