#!/usr/bin/env bash
# Leaves the cluster (a control plane also leaves etcd) and removes its files.
: "${CONTROL_PLANE:?}"
if command -v kubeadm >/dev/null; then
  timeout 120 kubeadm reset --force --cleanup-tmp-dir >&2 || say "kubeadm reset did not finish; going on"
fi
systemctl stop kubelet.service 2>/dev/null || true
# Once more, now that the program that writes these rules has ended.
open_pods
# kube-proxy removes its own rules, because this machine's nft may be too old to read them (Debian 12's crashes).
proxy=$(ctr --namespace k8s.io images list -q 2>/dev/null | grep -m 1 /kube-proxy:) || true
if [[ $proxy ]]; then
  timeout 60 ctr --namespace k8s.io run --rm --privileged --net-host "$proxy" argus-cleanup kube-proxy --cleanup >&2 ||
    say "kube-proxy's rules may be left: nft list tables"
fi
rm -rf "$STATE/member" /etc/kubernetes /var/lib/kubelet/* /var/log/pods /var/log/containers
[[ $CONTROL_PLANE == false ]] || rm -rf /var/lib/etcd/* /var/log/kubernetes /run/argus-certificate-key
restore /etc/cni/net.d/10-argus.conflist
rm -rf /var/lib/cni/networks/argus /var/lib/cni/results
