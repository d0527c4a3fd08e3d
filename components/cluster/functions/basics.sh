#!/usr/bin/env bash
# Argus's state on a machine, messages, and waiting.
STATE=/var/lib/argus
# shellcheck disable=SC2034 # read by the scripts that call `put`
CHANGED=false

say() { echo "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

# until_true SECONDS COMMAND...: repeats a command until it succeeds; fails after that many seconds.
until_true() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.5
  done
}

# alone WHAT: waits for an earlier run of the same step, which may still run although its `pulumi up` was killed.
alone() {
  exec 9>"/run/argus-$1.lock"
  flock -n 9 || { say "waiting for an earlier run of this step" && flock -w 600 9; } || die "an earlier run does not end"
}

# listens HOST PORT: whether something accepts a connection there.
listens() { timeout 2 bash -c ": </dev/tcp/$1/$2" 2>/dev/null; }

# holds ADDRESS: whether this machine has that address.
holds() { ip -o -4 addr show | grep -qF " $1/"; }

# is_member: whether this machine is a node; kubeadm's files alone may come from an interrupted attempt.
is_member() { [[ -s /etc/kubernetes/kubelet.conf && -s $STATE/member ]]; }
