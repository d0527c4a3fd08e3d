#!/usr/bin/env bash
# containerd with the given configuration, and the first images.
: "${CONFIG:?}" "${MIRROR?}" "${REPOSITORY:?}" "${VERSION:?}" "${PREFETCH:?}"

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

# The images that this machine's own pods need, now and on all machines at once, not one after the other in the joins.
pull() { ctr --namespace k8s.io images pull --hosts-dir /etc/containerd/certs.d "$1" >/dev/null 2>&1; }
pulls=()
while read -r image; do
  [[ ${image##*/} =~ ^($PREFETCH): ]] || continue
  pull "$image" &
  pulls+=("$! $image")
done < <(kubeadm config images list --image-repository "$REPOSITORY" --kubernetes-version "v$VERSION" 2>/dev/null)
for each in "${pulls[@]}"; do
  wait "${each%% *}" || die "cannot pull ${each#* }: check argus:cluster.imageRepository and registryMirror"
done
