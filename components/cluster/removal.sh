#!/usr/bin/env bash
# Runs on the computer that runs Pulumi: undoes a machine over SSH if it answers, and has the cluster forget it in any
# case. ARGUS_SSH_KEY is the private key.
: "${NODE:?}" "${HOST:?}" "${ENDPOINT:?}" "${SSH_USER:?}" "${SSH_PORT:?}" "${UNDO:?}" "${FORGET:?}" "${ARGUS_SSH_KEY:?}"

key=$(umask 077 && mktemp)
trap 'rm -f "$key"' EXIT
printf '%s\n' "$ARGUS_SSH_KEY" >"$key"

# on HOST COMMAND: like ssh, 255 when the connection failed.
on() {
  ssh -i "$key" -p "$SSH_PORT" -o IdentitiesOnly=yes -o BatchMode=yes -o ConnectTimeout=5 -o ServerAliveInterval=10 \
    -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "$SSH_USER@$1" "$2" </dev/null
}

# answers HOST: whether it lets us in; a machine that is only slow gets several chances.
answers() {
  local attempt
  for attempt in 1 2 3; do
    if ((attempt > 1)); then sleep 2; fi
    if on "$1" true; then return; fi
  done
  return 1
}

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
