#!/usr/bin/env bash
# Leaves the cluster (a control plane also leaves etcd) and removes every trace of it.
: "${CONTROL_PLANE:?}"
if command -v kubeadm >/dev/null; then
  timeout 120 kubeadm reset --force --cleanup-tmp-dir >&2 || say "kubeadm reset did not finish; going on"
fi
systemctl stop kubelet.service 2>/dev/null || true
nft list tables 2>/dev/null | while read -r _ family table; do
  [[ $table != kube-proxy ]] || nft delete table "$family" "$table"
done
rm -rf "$STATE/member" /etc/kubernetes /var/lib/kubelet/* /var/log/pods /var/log/containers
[[ $CONTROL_PLANE == false ]] || rm -rf /var/lib/etcd/*
