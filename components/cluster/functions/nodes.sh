#!/usr/bin/env bash
# Queries about the cluster's nodes.

# admin ARGUMENTS: kubectl as the cluster's administrator; its cache is under $STATE, so that it is removed with Argus.
# shellcheck disable=SC2153 # STATE is from basics.sh
admin() { KUBECACHEDIR=$STATE/kubectl kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }

# node_address NAME: prints the address of a node, or nothing if there is none; fails if the API does not answer.
node_address() {
  admin get node "$1" --ignore-not-found --request-timeout=10s \
    -o jsonpath='{.status.addresses[?(@.type=="InternalIP")].address}'
}

# control_plane_addresses: prints the address of every control plane in the cluster; fails if the API does not answer.
control_plane_addresses() {
  admin get nodes --selector node-role.kubernetes.io/control-plane --request-timeout=10s \
    -o jsonpath='{range .items[*]}{.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}'
}

# nodes_by_role: prints `address role` of every node, `control-plane` or `worker`; fails if the API does not answer.
nodes_by_role() {
  # shellcheck disable=SC2016 # the template's own variables
  admin get nodes --request-timeout=10s -o go-template='{{range .items}}{{$role := "worker"}}{{range $label, $_ := .metadata.labels}}{{if eq $label "node-role.kubernetes.io/control-plane"}}{{$role = "control-plane"}}{{end}}{{end}}{{range .status.addresses}}{{if eq .type "InternalIP"}}{{.address}} {{$role}}{{"\n"}}{{end}}{{end}}{{end}}'
}

# ready NAME: prints the status of a node's Ready condition (True, False or Unknown), or nothing if there is no such node;
# fails if the API does not answer.
ready() {
  admin get node "$1" --ignore-not-found --request-timeout=10s -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}'
}
is_ready() { [[ $(ready "$1") == True ]]; }

# readiness KIND [OPTIONS]: prints `name status` of every node or pod, with the status of its Ready condition; fails if the
# API does not answer.
readiness() {
  admin get "$@" --request-timeout=10s \
    -o jsonpath='{range .items[*]}{.metadata.name}{" "}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}'
}

# is_lost NAME: whether the API answers and says that a node is not Ready.
is_lost() {
  local state
  state=$(ready "$1") && [[ $state != True ]]
}

# cluster_version: prints the cluster's Kubernetes version, as kubeadm's configuration records it.
cluster_version() {
  admin -n kube-system get configmap kubeadm-config --request-timeout=10s -o jsonpath='{.data.ClusterConfiguration}' |
    sed -n 's/^kubernetesVersion: v//p'
}

# upgrade_state NAME: prints `version|cordoned|mark` of a node: the older version of its kubelet and API server, whether it
# is cordoned, and whether upgrade_prepare.sh found it cordoned. Fails if there is no such node.
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

# forget NAME: deletes the etcd member, node and pods of a machine that left or died. The member goes first, because only the
# node tells whether the machine lives. May be repeated if it fails.
forget() {
  forget_etcd_member "$1" &&
    admin delete node "$1" --ignore-not-found --wait=false --request-timeout=10s >&2 &&
    give_up_pods "$1"
}
