#!/usr/bin/env bash
# containerd with the given configuration, and the first images.
: "${CONFIG:?}" "${MIRROR?}"

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

# The images that this machine's own pods need, now and on all machines at once, not one after the other in the joins. A
# node has its images, and gets others when it is upgraded.
is_member || pull_images
