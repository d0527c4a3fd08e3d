#!/usr/bin/env bash
# Functions that every script of the cluster may use. What Argus changes on a machine is remembered under $STATE, so that
# `pulumi destroy` can leave the machine as it was.
set -euo pipefail

STATE=/var/lib/argus
# shellcheck disable=SC2034 # read by the scripts that this comes before
CHANGED=false

say() { echo "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

# put PATH MODE <content: writes a file if it differs (then CHANGED=true) and remembers what was there before.
put() {
  local path=$1 mode=$2 new
  new=$(mktemp)
  cat >"$new"
  if ! cmp -s "$new" "$path"; then
    remember "$path"
    install -D -m "$mode" "$new" "$path"
    # shellcheck disable=SC2034
    CHANGED=true
  fi
  rm -f "$new"
}

# remember PATH: keeps the file that was there before Argus, or notes that there was none; once.
remember() {
  local kept=$STATE/before$1
  if [[ ! -e $kept && ! -e $kept.absent ]]; then
    mkdir -p "$(dirname "$kept")"
    if [[ -e $1 ]]; then cp -a "$1" "$kept"; else touch "$kept.absent"; fi
  fi
}

# restore PATH...: undoes `put`; a file that was not written by it is left alone.
restore() {
  local path kept
  for path in "$@"; do
    kept=$STATE/before$path
    if [[ -e $kept ]]; then
      cp -a "$kept" "$path"
    elif [[ -e $kept.absent ]]; then
      rm -f "$path"
    fi
    rm -f "$kept" "$kept.absent"
  done
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

# listens HOST PORT: whether something accepts a connection there.
listens() { timeout 2 bash -c ": </dev/tcp/$1/$2" 2>/dev/null; }

# holds ADDRESS: whether this machine has that address.
holds() { ip -o -4 addr show | grep -qF " $1/"; }

# is_member: whether this machine is a node; kubeadm's files alone may be those of an attempt that was interrupted.
is_member() { [[ -s /etc/kubernetes/kubelet.conf && -s $STATE/member ]]; }

admin() { kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }
