#!/usr/bin/env bash
# Runs on the computer that runs Pulumi: undoes a machine over SSH if it answers, and has the cluster forget it in any
# case.
: "${NODE:?}" "${HOST:?}" "${ENDPOINT:?}" "${UNDO:?}" "${FORGET:?}"

if answers "$HOST"; then
  on "$HOST" "$UNDO" || {
    echo "error: $NODE ($HOST) was not left as it was found; see above, then run \`pulumi up\` or \`destroy\` again" >&2
    exit 1
  }
else
  echo "$NODE ($HOST) does not answer over SSH: it is forgotten as it is. Should it come back, run \`kubeadm reset\`" \
    "there before its next use" >&2
fi

# The last control plane takes the endpoint with it: nobody is left who could forget.
if answers "$ENDPOINT"; then on "$ENDPOINT" "$FORGET"; fi
