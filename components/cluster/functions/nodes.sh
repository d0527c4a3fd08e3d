#!/usr/bin/env bash
# What the cluster knows of its nodes.

# admin ARGUMENTS: kubectl as the cluster's administrator, with its cache where the removal of Argus finds it.
# shellcheck disable=SC2153 # STATE is from basics.sh
admin() { KUBECACHEDIR=$STATE/kubectl kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }

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

# forget NAME: the cluster no longer knows a machine that has left, or that died. May be tried again when it fails.
forget() {
  admin delete node "$1" --ignore-not-found --wait=false --request-timeout=10s >&2 &&
    give_up_pods "$1" &&
    forget_etcd_member "$1"
}
