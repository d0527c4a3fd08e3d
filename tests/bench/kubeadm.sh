#!/usr/bin/env bash
# A highly available cluster by hand: the commands of kubeadm's documentation over SSH, with HAProxy and keepalived in
# front of the API servers. The baseline of provision.py, which renders the files and times each of:
#   kubeadm.sh prepare NAME...   packages, binaries, containerd, images; on control planes HAProxy and keepalived
#   kubeadm.sh cluster           init, control planes one by one, workers in parallel, network, all Ready
#   kubeadm.sh worker NAME       one more worker
#   kubeadm.sh forget NAME       removes the node of a lost machine
set -euo pipefail

# FILES: for each machine a folder with its files under /. CONTROL_PLANES, WORKERS: a line `name address` per machine.
# PATCHES: the folder of patches that kubeadm's configuration names; it may be empty.
: "${FILES:?}" "${PATCHES:?}" "${SSH_KEY:?}" "${CONTROL_PLANES:?}" "${WORKERS:?}" "${BINARIES:?}" "${VERSION:?}" "${REPOSITORY:?}" "${POD_NETWORK:?}"

declare -A address=()
control_planes=() workers=()
while read -r name at; do control_planes+=("$name") address[$name]=$at; done <<<"$CONTROL_PLANES"
while read -r name at; do workers+=("$name") address[$name]=$at; done <<<"$WORKERS"
first=${control_planes[0]}

# on NAME COMMAND: runs the command there as root.
on() {
  ssh -i "$SSH_KEY" -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    -o LogLevel=ERROR "root@${address[$1]}" "$2"
}

kubectl() { on "$first" "kubectl --kubeconfig /etc/kubernetes/admin.conf $*" </dev/null; }

# side_by_side FUNCTION NAME...: runs the function on these machines in parallel.
side_by_side() {
  local function=$1 name job jobs=()
  shift
  for name in "$@"; do
    "$function" "$name" &
    jobs+=("$!")
  done
  for job in "${jobs[@]}"; do wait "$job"; done
}

prepare() {
  local control_plane=false
  [[ " ${control_planes[*]} " != *" $1 "* ]] || control_plane=true
  tar -C "$FILES/$1" -c . | on "$1" "tar -C / -x --no-same-owner --no-overwrite-dir"
  on "$1" "mkdir -p $PATCHES && CONTROL_PLANE=$control_plane ADDRESS=${address[$1]} BINARIES=$BINARIES VERSION=$VERSION REPOSITORY=$REPOSITORY bash -s" <<'REMOTE'
set -euo pipefail
packages=(ca-certificates conntrack containerd containernetworking-plugins curl ethtool iproute2 iptables kmod nftables socat)
prefetch='kube-proxy|pause'
if [[ $CONTROL_PLANE == true ]]; then
  prefetch='kube-.*|etcd|pause'
  packages+=(haproxy keepalived)
fi
if ! dpkg-query --show "${packages[@]}" >/dev/null 2>&1; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}" </dev/null >/dev/null
fi

cd /usr/local/bin
curl -fsSL --fail-early --parallel --remote-name-all "$BINARIES/v$VERSION/"{kubeadm,kubelet,kubectl}
chmod 0755 kubeadm kubelet kubectl
sysctl -q net.ipv4.ip_forward=1
cat >/etc/systemd/system/kubelet.service <<'FILE'
[Unit]
Description=Kubernetes node agent
After=containerd.service

[Service]
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
ExecStart=/usr/local/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf \
  --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
  --config=/var/lib/kubelet/config.yaml $KUBELET_KUBEADM_ARGS
Restart=always
RestartSec=2
StartLimitIntervalSec=0

[Install]
WantedBy=multi-user.target
FILE
systemctl daemon-reload
systemctl enable -q kubelet containerd

systemctl restart containerd
until ctr version >/dev/null 2>&1; do sleep 0.2; done
kubeadm config images list --image-repository "$REPOSITORY" --kubernetes-version "v$VERSION" 2>/dev/null |
  grep -E "/($prefetch):" |
  xargs -P 8 -n 1 ctr --namespace k8s.io images pull --hosts-dir /etc/containerd/certs.d >/dev/null

if [[ $CONTROL_PLANE == true ]]; then
  interface=$(ip -o -4 addr show to "$ADDRESS" | awk '{ print $2 }')
  sed -i "s/@INTERFACE@/$interface/; s/@LEAVING@//" /etc/keepalived/keepalived.conf
  systemctl enable -q haproxy keepalived
  systemctl restart haproxy keepalived
fi
REMOTE
}

hash=''
join() {
  [[ $hash ]] || hash=$(on "$first" "openssl x509 -pubkey -noout -in /etc/kubernetes/pki/ca.crt | openssl pkey -pubin -outform der | sha256sum" </dev/null)
  on "$1" "sed -i s/@CA_HASH@/sha256:${hash%% *}/ /root/kubeadm.yaml && kubeadm join --config /root/kubeadm.yaml" </dev/null
}

# The pods' network: routes to other nodes, masquerading, and last the CNI configuration, which makes the node Ready.
connect() {
  local node network own='' routes=''
  while read -r node network; do
    if [[ $node == "$1" ]]; then own=$network; else routes+="ip route replace $network via ${address[$node]}"$'\n'; fi
  done <<<"$networks"
  on "$1" "bash -s" <<REMOTE
set -euo pipefail
$routes
rule="POSTROUTING -s $own ! -d $POD_NETWORK -j MASQUERADE"
iptables --wait -t nat -C \$rule 2>/dev/null || iptables --wait -t nat -A \$rule
mkdir -p /etc/cni/net.d
sed "s|@NETWORK@|$own|" /root/cni.json >/etc/cni/net.d/10-bench.conflist
REMOTE
}

network() {
  # A node gets its pod range once the controller manager has seen it.
  until networks=$(kubectl get nodes --no-headers -o custom-columns=NAME:.metadata.name,NETWORK:.spec.podCIDR) &&
    [[ $(grep -c / <<<"$networks") == "${#address[@]}" ]]; do
    sleep 0.5
  done
  side_by_side connect "${control_planes[@]}" "${workers[@]}"
  kubectl wait nodes --all --for=condition=Ready --timeout=180s
}

cluster() {
  local name
  on "$first" "kubeadm init --config /root/kubeadm.yaml --upload-certs --skip-token-print --skip-certificate-key-print" </dev/null
  for name in "${control_planes[@]:1}"; do join "$name"; done
  side_by_side join "${workers[@]}"
  network
}

step=$1
shift
case $step in
  prepare) side_by_side prepare "$@" ;;
  cluster) cluster ;;
  worker)
    join "$1"
    network
    ;;
  forget) kubectl delete node "$1" ;;
  *)
    echo "usage: ${0##*/} prepare|cluster|worker|forget [NAME...]" >&2
    exit 2
    ;;
esac
