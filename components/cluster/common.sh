#!/usr/bin/env bash
# Functions that every script of the cluster may use. What Argus changes on a machine is remembered under $STATE, so that
# `pulumi destroy` can leave the machine as it was.
set -euo pipefail

STATE=/var/lib/argus
export KUBECACHEDIR=$STATE/kubectl # not in the home of whoever logs in
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

# remember_unit UNIT, restore_unit UNIT: whether a service was enabled and running before Argus.
remember_unit() {
  local kept=$STATE/before/units/$1
  if [[ ! -e $kept ]]; then
    mkdir -p "${kept%/*}"
    { systemctl is-enabled "$1" || true; systemctl is-active "$1" || true; } >"$kept" 2>/dev/null
  fi
}
restore_unit() {
  local kept=$STATE/before/units/$1
  [[ -e $kept ]] || return 0
  if grep -qx enabled "$kept"; then systemctl enable -q "$1"; else systemctl disable -q "$1"; fi
  if grep -qx active "$kept"; then systemctl restart "$1"; else systemctl stop "$1"; fi
  rm -f "$kept"
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

# etcd ARGUMENTS: etcdctl on this control plane.
etcd() {
  admin -n kube-system exec "etcd-$(cat "$STATE/member")" -- etcdctl --endpoints=https://127.0.0.1:2379 \
    --cacert=/etc/kubernetes/pki/etcd/ca.crt --cert=/etc/kubernetes/pki/etcd/peer.crt \
    --key=/etc/kubernetes/pki/etcd/peer.key "$@"
}

# forget_etcd_member NAME: removes a member that went without leaving, so that it no longer counts for the quorum.
forget_etcd_member() {
  local id
  id=$(etcd member list | awk -F', ' -v name="$1" '$3 == name { print $1 }') || return
  [[ ! $id ]] || etcd member remove "$id" >&2
}

# node_address NAME: prints the address of a node, or nothing where there is none; fails if the API does not answer.
node_address() {
  admin get node "$1" --ignore-not-found --request-timeout=10s \
    -o jsonpath='{.status.addresses[?(@.type=="InternalIP")].address}'
}

# is_ready NAME: whether the cluster hears from a node.
is_ready() {
  [[ $(admin get node "$1" --request-timeout=10s \
    -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}') == True ]]
}

# give_up_pods NAME: forgets the pods of a dead node; none of them can run any more.
give_up_pods() {
  admin get pods --all-namespaces --field-selector "spec.nodeName=$1" --no-headers --request-timeout=10s \
    -o custom-columns=NAMESPACE:.metadata.namespace,NAME:.metadata.name |
    while read -r namespace pod; do
      admin --namespace "$namespace" delete pod "$pod" --force --grace-period=0 --wait=false --ignore-not-found >&2
    done
}

# forget NAME: the cluster no longer knows a machine that has left, or that died. May be tried again when it fails.
forget() {
  admin delete node "$1" --ignore-not-found --wait=false --request-timeout=10s >&2 &&
    give_up_pods "$1" &&
    forget_etcd_member "$1"
}

admin() { kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }
