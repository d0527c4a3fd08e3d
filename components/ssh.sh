#!/usr/bin/env bash
# For scripts that run on the computer that runs Pulumi: how they speak to machines. ARGUS_SSH_KEY is the private key.
: "${SSH_USER:?}" "${SSH_PORT:?}" "${ARGUS_SSH_KEY:?}"

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
