#!/usr/bin/env bash
# Runs on a drained node: upgrades kubeadm, then what kubeadm manages, then the kubelet. The first control plane that runs
# this also upgrades what the cluster shares.
: "${CONTROL_PLANE:?}" "${IGNORE?}" "${VERSION:?}" "${BINARIES:?}" "${REPOSITORY:?}" "${IMAGES:?}"
: "${CHECKSUMS?}" "${DIGESTS?}" "${PROXY?}"
alone node
through_proxy
is_member || die "this machine is no node: set argus:ssh.rerun to another word and run \`pulumi up\`"

fetch kubeadm
pull_images
systemctl start kubelet.service # an interrupted upgrade may have left it stopped
options=(--ignore-preflight-errors "${IGNORE:-none}")
[[ ! -d /etc/kubernetes/patches ]] || options+=(--patches /etc/kubernetes/patches)
if [[ $CONTROL_PLANE == true ]]; then
  until_true 120 api_server_serves || die "the API server here is not ready"
fi
if [[ $CONTROL_PLANE == true && $(cluster_version) != "$VERSION" ]]; then
  kubeadm upgrade apply "v$VERSION" --yes "${options[@]}" >&2
else
  kubeadm upgrade node "${options[@]}" >&2
fi
fetch kubelet kubectl
systemctl restart kubelet.service
