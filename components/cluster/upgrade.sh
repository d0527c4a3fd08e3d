#!/usr/bin/env bash
# Runs on the computer that runs Pulumi: brings one node to the stack's Kubernetes version, and then to its settings. Each
# part may be repeated, so that the next run completes an interrupted upgrade. PULUMI_COMMAND_STDOUT is empty for a node that
# has just joined: it has the version already.
: "${NODE:?}" "${HOST:?}" "${ENDPOINT:?}" "${PREPARE:?}" "${UPGRADE:?}" "${FINISH:?}" "${SETTINGS:?}" "${SERVING:?}"

answers "$HOST" || {
  if unknown_key; then
    echo "error: $NODE ($HOST) is not brought to the stack's version and settings: if it was reinstalled, give its key as its hostKey in argus:machines" \
      "(docs/operations.md). No other node is before it" >&2
    exit 1
  fi
  echo "error: $NODE ($HOST) does not answer over SSH: start it, or take it out of argus:machines, and run \`pulumi up\`" \
    "again. No other node is brought to the stack's version and settings before it" >&2
  exit 1
}
state=current
if [[ ${PULUMI_COMMAND_STDOUT:-} ]]; then state=$(ask "$ENDPOINT" "$PREPARE"); fi
case $state in
  drained)
    told "$HOST" "$UPGRADE"
    ask "$ENDPOINT" "$FINISH"
    ;;
  current) ;;
  *) echo "error: the machine at $ENDPOINT does not say whether $NODE is to be upgraded" >&2 && exit 1 ;;
esac
told "$HOST" "$SETTINGS"
ask "$ENDPOINT" "$SERVING"
