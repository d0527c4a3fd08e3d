#!/usr/bin/env bash
# Runs on the computer that runs Pulumi, once per machine: prints the machine's public host keys, one per line, ECDSA
# first. It tries again, because the machine may still be starting.
: "${NODE:?}" "${HOST:?}" "${PORT:?}"

if ! command -v ssh-keyscan >/dev/null; then
  echo "error: ssh-keyscan is not on this computer: install OpenSSH's client, or give each machine's hostKey" >&2
  exit 1
fi
for attempt in 1 2 3; do
  if ((attempt > 1)); then sleep 2; fi
  # Drop comments and the host, which may include the port.
  keys=$(ssh-keyscan -T 5 -p "$PORT" -t ecdsa,ed25519 "$HOST" 2>/dev/null |
    awk '!/^#/ && NF == 3 { print $2, $3 }' | sort) || true
  if [[ $keys ]]; then
    echo "$keys"
    exit
  fi
done
echo "error: $NODE ($HOST) shows no ECDSA or Ed25519 host key on port $PORT" >&2
exit 1
