#!/usr/bin/env bash
# Runs on the computer that runs Pulumi: runs a command on the machine that holds the address HOST, and prints its output.
# READS: whether the command gets this script's standard input; DELETES: whether this is a delete, see given_up.
: "${HOST:?}" "${COMMAND:?}" "${READS:?}" "${DELETES:?}"

if [[ $DELETES == true ]] && given_up; then exit 0; fi

input=/dev/null
if [[ $READS == true ]]; then input=$(given); fi
ask "$HOST" "$COMMAND" "$input" || {
  status=$?
  if stranger; then
    echo "error: who has $HOST is no control plane as this stack knows them; if one was installed anew, give its key as" \
      "its hostKey in argus:machines (docs/operations.md)" >&2
  elif ((status == 255)); then
    echo "error: no control plane can be asked at $HOST: see above" >&2
  fi
  exit "$status"
}
