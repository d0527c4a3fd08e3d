#!/usr/bin/env bash
# Runs on the computer that runs Pulumi: upgrades one node to another Kubernetes version. Each part may be repeated, so
# that the next run completes an interrupted upgrade.
: "${NODE:?}" "${HOST:?}" "${ENDPOINT:?}" "${PREPARE:?}" "${UPGRADE:?}" "${FINISH:?}"

answers "$HOST" || {
  if unknown_key; then
    echo "error: $NODE ($HOST) is not upgraded: if it was reinstalled, give its key as its hostKey in argus:machines" \
      "(docs/operations.md). No other node is upgraded before it" >&2
    exit 1
  fi
  echo "error: $NODE ($HOST) does not answer over SSH: start it, or take it out of argus:machines, and run \`pulumi up\`" \
    "again. No other node is upgraded before it" >&2
  exit 1
}
state=$(ask "$ENDPOINT" "$PREPARE")
case $state in
  drained) ;;
  current) exit 0 ;;
  *) echo "error: the machine at $ENDPOINT does not say whether $NODE is to be upgraded" >&2 && exit 1 ;;
esac
told "$HOST" "$UPGRADE"
ask "$ENDPOINT" "$FINISH"
