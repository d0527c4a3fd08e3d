#!/usr/bin/env bash
# Creates the folders of a machine's local volumes, one for each stateful service.
: "${ROOT:?}" "${VOLUMES:?}"
while read -r volume; do install -d -m 0770 "$ROOT/$volume"; done <<<"$VOLUMES"
