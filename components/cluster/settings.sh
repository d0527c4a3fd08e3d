#!/usr/bin/env bash
# Brings a member's settings to what the stack says: those of its kubelet, and on a control plane those of its own pods.
# A member that has them is left as it is. One node at a time, control planes first: a control plane also uploads the
# configuration, which workers, later machines and upgrades read.
: "${NAME:?}" "${ADDRESS:?}" "${CONTROL_PLANE:?}" "${CONFIG?}" "${AUDIT_POLICY?}" "${AUTHENTICATION?}" "${KUBELET:?}"
: "${GO_MAX_PROCS?}"
alone node
is_member || die "this machine is no node: set argus:ssh.rerun to another word and run \`pulumi up\`"

work=$(mktemp -p /run -d)
trap 'rm -rf "$work"' EXIT
healthy() { curl -sf --max-time 2 -o /dev/null http://127.0.0.1:10248/healthz; }

if [[ $CONTROL_PLANE == true ]]; then
  until_true 120 api_server_serves || die "the API server of $NAME is not ready, so its settings stay as they are"
  static_pod_patches # the configuration names their folder
  printf '%s\n' "$CONFIG" >"$work/config"
  kubeadm init phase upload-config all --config "$work/config" >/dev/null
fi

before=$(cksum </var/lib/kubelet/config.yaml)
kubeadm upgrade node phase kubelet-config >/dev/null
rm -rf /etc/kubernetes/tmp/kubeadm-kubelet-config*
private_files
CHANGED=false
drop_in kubelet.service processors "$(processors_of_service)"
if [[ $CHANGED == true || $(cksum </var/lib/kubelet/config.yaml) != "$before" ]]; then
  systemctl daemon-reload
  say "restarting the kubelet of $NAME with its new settings; its pods run on"
  systemctl restart kubelet.service
fi
until_true 60 healthy || die "the kubelet of $NAME is not healthy: journalctl -u kubelet tells why"
[[ $CONTROL_PLANE == true ]] || exit 0

await_serving "$NAME" "$ADDRESS"
api_server_files
# A cluster from before secrets were encrypted has no such file; this one leaves them as they are.
[[ -s /etc/kubernetes/encryption.yaml ]] || put_encryption <<<identity
for pod in apiserver controller-manager scheduler; do
  rewritten "kube-$pod" kubeadm init phase control-plane "$pod" --config "$work/config" >/dev/null
done
