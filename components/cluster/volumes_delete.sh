#!/usr/bin/env bash
# Deletes the local volumes with their data.
: "${ROOT:?}"
rm -rf "${ROOT:?}"
