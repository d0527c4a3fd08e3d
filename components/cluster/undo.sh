#!/usr/bin/env bash
# Runs before all other undo scripts: stops unless Argus made this machine part of this cluster. The last of them answers
# `undone`.
: "${SERVER:?}"
if [[ $(cat "$STATE/cluster" 2>/dev/null) != "$SERVER" ]]; then
  say "Argus has nothing to undo here"
  exit 0
fi
