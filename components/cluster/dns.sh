#!/usr/bin/env bash
# Two CoreDNS pods on two machines: kubeadm starts both on the first node, where one failure would take both.
: "${PATCH:?}"
until_true 60 admin -n kube-system patch deployment coredns --type strategic --patch "$PATCH" >&2 || die "CoreDNS is not there"
admin -n kube-system rollout status deployment coredns --timeout 120s >&2
