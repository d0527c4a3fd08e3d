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

# alone WHAT: waits for an earlier run of the same step: it may still be at work although its `pulumi up` was killed.
alone() {
  exec 9>"/run/argus-$1.lock"
  flock -n 9 || { say "waiting for an earlier run of this step" && flock -w 600 9; } || die "an earlier run does not end"
}

# listens HOST PORT: whether something accepts a connection there.
listens() { timeout 2 bash -c ": </dev/tcp/$1/$2" 2>/dev/null; }

# holds ADDRESS: whether this machine has that address.
holds() { ip -o -4 addr show | grep -qF " $1/"; }

# is_member: whether this machine is a node; kubeadm's files alone may be those of an attempt that was interrupted.
is_member() { [[ -s /etc/kubernetes/kubelet.conf && -s $STATE/member ]]; }

# etcd ARGUMENTS: etcdctl on this control plane, or on another whose etcd is ready where this one's is not: the machine
# that holds the virtual IP may be the one whose etcd is lost.
etcd() {
  local own pod
  own=etcd-$(cat "$STATE/member")
  pod=$(readiness pods --namespace kube-system --selector component=etcd |
    awk -v own="$own" '$2 == "True" && ($1 == own || !pod) { pod = $1 } END { print pod }') || return
  admin -n kube-system exec "${pod:-$own}" -- etcdctl --endpoints=https://127.0.0.1:2379 \
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

# control_plane_addresses: the address of every control plane that the cluster knows; fails if the API does not answer.
control_plane_addresses() {
  admin get nodes --selector node-role.kubernetes.io/control-plane --request-timeout=10s \
    -o jsonpath='{range .items[*]}{.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}'
}

# ready NAME: prints True while the cluster hears from a node; fails if the API does not answer.
ready() {
  admin get node "$1" --request-timeout=10s -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}'
}
is_ready() { [[ $(ready "$1") == True ]]; }

# readiness KIND [OPTIONS]: `name status` of every node or pod, as `ready` prints it of one node; fails if the API does
# not answer.
readiness() {
  admin get "$@" --request-timeout=10s \
    -o jsonpath='{range .items[*]}{.metadata.name}{" "}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}'
}

# is_lost NAME: whether the cluster answers, and does not hear from a node.
is_lost() {
  local state
  state=$(ready "$1") && [[ $state != True ]]
}

# claims_on NAME: `namespace name` of every claim that is bound to a local volume of a node.
claims_on() {
  admin get persistentvolumes -o jsonpath='{range .items[?(@.spec.local)]}{.spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0]}{" "}{.spec.claimRef.namespace}{" "}{.spec.claimRef.name}{" "}{.status.phase}{"\n"}{end}' |
    awk -v node="$1" '$1 == node && $4 == "Bound" { print $2, $3 }'
}

# drain NAME: moves the pods of a node to others, in step with their disruption budgets. Fails where the node is dead, or
# turns out to be: the cluster notices only after a while, and no pod of a dead node is ever gone.
drain() {
  local deadline=$((SECONDS + 300)) state
  while state=$(until_true 60 ready "$1") || die "the API server does not answer"; do
    if [[ $state != True ]]; then return 1; fi
    if admin drain "$1" --ignore-daemonsets --delete-emptydir-data --force --timeout=30s >&2; then return; fi
    ((SECONDS < deadline)) ||
      die "$1 is not drained: see which pod's disruption budget allows nothing (kubectl get pdb -A), mend that, and run" \
        "\`pulumi up\` again"
  done
}

# await_owners CLAIM...: until the services whose pods made these claims are whole.
await_owners() {
  local claim namespace pod service
  for claim in "$@"; do
    namespace=${claim% *} pod=${claim#* data-}
    service=statefulset/${pod%-*}
    # A whole cluster that is destroyed has no services any more.
    [[ $(admin --namespace "$namespace" get "$service" --ignore-not-found -o name) ]] || continue
    admin --namespace "$namespace" rollout status "$service" --timeout=300s >&2 ||
      die "$service is not whole: kubectl --namespace $namespace describe pod $pod"
  done
}

# cluster_version: the Kubernetes version that the cluster as a whole has been brought to.
cluster_version() {
  admin -n kube-system get configmap kubeadm-config --request-timeout=10s -o jsonpath='{.data.ClusterConfiguration}' |
    sed -n 's/^kubernetesVersion: v//p'
}

# upgrade_state NAME: `version|cordoned|mark` of a node: the oldest version of its kubelet and its API server, whether
# pods are kept off it, and what upgrade_prepare.sh noted of that before. Fails where there is no such node.
upgrade_state() {
  local kubelet server others oldest
  others=$(admin get node "$1" --request-timeout=10s \
    -o jsonpath='{.status.nodeInfo.kubeletVersion}|{.spec.unschedulable}|{.metadata.annotations.argus\.dev/upgrade}') ||
    return
  kubelet=${others%%|*} others=${others#*|}
  server=$(admin -n kube-system get pod "kube-apiserver-$1" --ignore-not-found --request-timeout=10s \
    -o jsonpath='{.spec.containers[0].image}') || return
  oldest=$(printf '%s\n' "$kubelet" ${server:+"${server##*:}"} | sort -V | head -n 1)
  echo "${oldest#v}|$others"
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
