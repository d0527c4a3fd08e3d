#!/usr/bin/env bash
# Runs on the computer that runs Pulumi: prints the invitation (secret) that a live control plane gives one machine.
# A machine that was invited before may have come back with an empty disk, so it is asked whether it is a member.
: "${NODE:?}" "${HOST:?}" "${ENDPOINT:?}" "${INVITE:?}" "${IS_MEMBER:?}"

rejoin=''
if [[ ${PULUMI_COMMAND_STDOUT:-} ]]; then
  answer=$(ask "$HOST" "$IS_MEMBER") || {
    echo "error: $NODE ($HOST) cannot be asked whether it is a node; see above" >&2
    exit 1
  }
  case $answer in
    yes) ;;
    no) rejoin=rejoin ;;
    *) echo "error: $NODE ($HOST) does not say whether it is a node" >&2 && exit 1 ;;
  esac
fi
ask "$ENDPOINT" "$INVITE${rejoin:+ $rejoin}" || {
  echo "error: $NODE ($HOST) is not invited: see above" >&2
  exit 1
}
