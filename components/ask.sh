#!/usr/bin/env bash
# Runs on the computer that runs Pulumi: runs a command on the machine that holds the address HOST, and prints its answer.
# READS: whether the command gets this script's standard input; DELETES: whether this is a delete, see cluster_lost.
: "${HOST:?}" "${COMMAND:?}" "${READS:?}" "${DELETES:?}"

if [[ $DELETES == true ]] && cluster_lost; then exit 0; fi

input=/dev/null
if [[ $READS == true ]]; then input=$(saved_input); fi
ask "$HOST" "$COMMAND" "$input" || {
  status=$?
  if unknown_key; then
    echo "error: the machine at $HOST shows the SSH host key of no control plane of this stack; if one was reinstalled," \
      "give its key as its hostKey in argus:machines (docs/operations.md)" >&2
  elif ((status == 255)); then
    echo "error: no control plane answers at $HOST: see above" >&2
  fi
  exit "$status"
}
