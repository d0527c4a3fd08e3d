#!/usr/bin/env bash
# Before anything is undone: only a machine that Argus has made one of this cluster is touched.
: "${SERVER:?}"
if [[ $(cat "$STATE/cluster" 2>/dev/null) != "$SERVER" ]]; then
  say "Argus has nothing to undo here"
  exit 0
fi
