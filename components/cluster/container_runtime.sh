#!/usr/bin/env bash
# containerd with the given configuration; on a control plane also its images, so that they are here before kubeadm asks.
: "${CONFIG:?}" "${IMAGES?}" "${MIRROR?}"

remember_unit containerd.service
put /etc/containerd/config.toml 0644 <<<"$CONFIG"
if [[ $MIRROR ]]; then
  put /etc/containerd/certs.d/_default/hosts.toml 0644 <<<"$MIRROR"
else
  restore /etc/containerd/certs.d/_default/hosts.toml
fi
systemctl enable -q containerd.service
if [[ $CHANGED == true ]]; then systemctl restart containerd.service; else systemctl start containerd.service; fi
until_true 30 ctr version >/dev/null || die "containerd does not answer: journalctl -u containerd"

while read -r image; do
  [[ $image ]] || continue
  ctr --namespace k8s.io images pull --hosts-dir /etc/containerd/certs.d "$image" >/dev/null || die "cannot pull $image"
done <<<"$IMAGES"
