#!/usr/bin/env bash
# The Debian packages and Kubernetes binaries of one machine, its kernel settings, and the kubelet's service.
: "${PACKAGES:?}" "${BINARIES:?}" "${VERSION:?}" "${SERVER:?}"

# To swap the programs under a running node is no upgrade: it would restart every machine's at once, and drain none.
if is_member; then
  runs=$(kubelet --version)
  runs=${runs#Kubernetes v}
  [[ $runs == "$VERSION" ]] || die "this node runs Kubernetes $runs, and Argus does not upgrade nodes yet: set" \
    "argus:cluster.kubernetesVersion to $runs"
fi

declare -A missing=()
while read -r package; do
  dpkg-query --show --showformat='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing[$package]=1
done <<<"$PACKAGES"

mkdir -p "$STATE" /etc/kubernetes
echo "$SERVER" >"$STATE/cluster" # from here on the machine is this cluster's
if ((${#missing[@]})); then
  say "installing ${!missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  printf '%s\n' "${!missing[@]}" >>"$STATE/packages"
  apt-get update -qq
  apt-get install -qq -y --no-install-recommends "${!missing[@]}" >/dev/null
fi

# fetch NAME: downloads one binary, checked against its `.sha256` where the server has one. Both layouts are known:
# a flat mirror (v1.2.3/kubelet) and upstream's (v1.2.3/bin/linux/amd64/kubelet).
fetch() {
  local name=$1 target=/usr/local/bin/$1 stamp=$STATE/binaries/$1 base url sum
  [[ -x $target && $(cat "$stamp" 2>/dev/null) == "$BINARIES $VERSION" ]] && return
  for base in "v$VERSION" "v$VERSION/bin/linux/$(dpkg --print-architecture)"; do
    url=$BINARIES/$base/$name
    curl -fsSL --retry 3 -o "$target.new" "$url" 2>/dev/null || continue
    if sum=$(curl -fsSL "$url.sha256" 2>/dev/null); then
      echo "${sum%% *}  $target.new" | sha256sum --check --quiet
    fi
    chmod 0755 "$target.new"
    remember "$target"
    mv -f "$target.new" "$target"
    mkdir -p "$STATE/binaries"
    echo "$BINARIES $VERSION" >"$stamp"
    return
  done
  die "$name $VERSION is not at $BINARIES: check argus:cluster.binaries and that this machine reaches it"
}

for binary in kubeadm kubelet kubectl; do
  fetch "$binary" &
  fetches+=($!)
done
for fetch in "${fetches[@]}"; do wait "$fetch"; done

put /etc/modules-load.d/argus.conf 0644 <<<$'overlay\nnf_conntrack'
put /etc/sysctl.d/90-argus.conf 0644 <<'FILE'
# Pods are routed through this machine, and each watches files.
net.ipv4.ip_forward = 1
fs.inotify.max_user_instances = 8192
fs.inotify.max_user_watches = 524288
FILE
if [[ ! -e $STATE/sysctl ]]; then
  while IFS=' =' read -r key _; do
    [[ $key == [a-z]* ]] && echo "$key = $(sysctl -n "$key")"
  done </etc/sysctl.d/90-argus.conf >"$STATE/sysctl"
fi
# A machine that is itself a container has its host's modules and may not set every value: its own are then kept.
modprobe -aq overlay nf_conntrack 2>/dev/null || true
sysctl -q -p /etc/sysctl.d/90-argus.conf 2>/dev/null || say "some kernel settings are not this machine's to set"
[[ $(sysctl -n net.ipv4.ip_forward) == 1 ]] || die "net.ipv4.ip_forward cannot be turned on here"

put /etc/systemd/system/kubelet.service 0644 <<'FILE'
[Unit]
Description=Kubernetes node agent
Wants=network-online.target containerd.service
After=network-online.target containerd.service

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
systemctl enable -q kubelet.service
