#!/usr/bin/env bash
# Installs Debian packages and Kubernetes binaries, kernel settings, and the kubelet's service.
: "${PACKAGES:?}" "${SERVER:?}" "${VERSION:?}" "${BINARIES:?}" "${CHECKSUMS?}" "${PROXY?}"

alone node
through_proxy
# A package is there too if it is held, or if another one provides it, as Docker's containerd.io does containerd and runc.
# shellcheck disable=SC2016 # dpkg-query's own variables
installed=$(dpkg-query --show --showformat='${db:Status-Abbrev} ${Package}, ${Provides}\n' 2>/dev/null |
  awk -F', ' 'sub(/^.i +/, "") { for (i = 1; i <= NF; i++) { sub(/ .*/, "", $i); print $i } }') || true
declare -A missing=()
while read -r package; do
  grep -qxF "$package" <<<"$installed" || missing[$package]=1
done <<<"$PACKAGES"

mkdir -p "$STATE" /etc/kubernetes
echo "$SERVER" >"$STATE/cluster" # from now on, undo.sh treats the machine as one of this cluster
if ((${#missing[@]})); then
  say "installing ${!missing[*]}"
  printf '%s\n' "${!missing[@]}" >>"$STATE/packages"
  apt_get update
  # Nothing that is there is removed for them. A configuration that somebody left there stays; `put` keeps it for the undo.
  apt_get install -y --no-remove --no-install-recommends -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold "${!missing[@]}"
fi

# The programs of an existing node are replaced by upgrade_node.sh, after its drain, not while its pods run.
runs=''
if is_member; then runs=$(kubelet --version 2>/dev/null) || true; fi
if [[ ! $runs || $runs == "Kubernetes v$VERSION" ]]; then fetch kubeadm kubelet kubectl; fi

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
# A machine that is itself a container uses its host's modules and may not set every value, so failures are tolerated.
modprobe -aq overlay nf_conntrack 2>/dev/null || true
sysctl -q -p /etc/sysctl.d/90-argus.conf 2>/dev/null || say "some kernel settings are not this machine's to set"
[[ $(sysctl -n net.ipv4.ip_forward) == 1 ]] || die "net.ipv4.ip_forward cannot be turned on here"

CHANGED=false
put /etc/systemd/networkd.conf.d/90-argus.conf 0644 <<'FILE'
# The pods' routes are not in its own files, so it would remove them whenever it starts, and with `netplan apply`.
[Network]
ManageForeignRoutes=no
FILE
# It reads the file when it starts. A node waits for that: at its start it takes the virtual IP away for a moment.
if [[ $CHANGED == true ]] && ! is_member; then systemctl try-restart systemd-networkd.service; fi

put /etc/systemd/system/kubelet.service 0600 <<'FILE'
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
