#!/usr/bin/env bash
# The images of one Kubernetes release: of those that kubeadm names, the ones whose names match IMAGES.
: "${VERSION:?}" "${REPOSITORY:?}" "${IMAGES:?}"

# pull_images: all of them, side by side.
pull_images() {
  local image each pulls=()
  while read -r image; do
    [[ ${image##*/} =~ ^($IMAGES): ]] || continue
    ctr --namespace k8s.io images pull --hosts-dir /etc/containerd/certs.d "$image" >/dev/null 2>&1 &
    pulls+=("$! $image")
  done < <(kubeadm config images list --image-repository "$REPOSITORY" --kubernetes-version "v$VERSION" 2>/dev/null)
  for each in "${pulls[@]}"; do
    wait "${each%% *}" || die "cannot pull ${each#* }: check argus:cluster.imageRepository and registryMirror"
  done
}
