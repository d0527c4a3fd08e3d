#!/usr/bin/env bash
# The members of etcd.

# etcd ARGUMENTS: runs etcdctl on this control plane, or on another one with a ready etcd: the machine that holds the
# virtual IP may be the one that lost its etcd.
etcd() {
  local own pod
  own=etcd-$(cat "$STATE/member")
  pod=$(readiness pods --namespace kube-system --selector component=etcd |
    awk -v own="$own" '$2 == "True" && ($1 == own || !pod) { pod = $1 } END { print pod }') || return
  admin -n kube-system exec "${pod:-$own}" -- etcdctl --endpoints=https://127.0.0.1:2379 \
    --cacert=/etc/kubernetes/pki/etcd/ca.crt --cert=/etc/kubernetes/pki/etcd/peer.crt \
    --key=/etc/kubernetes/pki/etcd/peer.key "$@"
}

# forget_etcd_member NAME: removes a member that did not leave by itself, so that it no longer counts for the quorum. Fails
# while the cluster has a node of this name that is Ready.
forget_etcd_member() {
  local id condition
  id=$(etcd member list | awk -F', ' -v name="$1" '$3 == name { print $1 }') || return
  [[ $id ]] || return 0
  condition=$(ready "$1") && [[ $condition != True ]] && etcd member remove "$id" >&2
}
