#!/usr/bin/env bash
# Spreads CoreDNS over machines: kubeadm starts both pods on the first node, whose failure would stop both.
: "${PATCH:?}"
until_true 60 admin -n kube-system patch deployment coredns --type strategic --patch "$PATCH" >&2 || die "CoreDNS is not there"
admin -n kube-system rollout status deployment coredns --timeout 120s >&2
