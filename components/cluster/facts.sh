#!/usr/bin/env bash
# Prints the facts of this machine that preflight checks, as one JSON object. Changes nothing.
: "${VIRTUAL_IP:?}" "${PORTS:?}" "${VOLUMES:?}"

# Standard input: the time on the computer that runs Pulumi, and a digest of what is asked (unused here).
read -r reference _ || true
[[ $reference =~ ^[0-9]+$ ]] || {
  echo "error: the time did not arrive on standard input: does a login shell here read it?" >&2
  exit 1
}
skew=$(($(date +%s) - reference))

quoted() {
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}
listed() {
  local item separator='' && printf '['
  while read -r item; do
    [[ $item ]] || continue
    printf '%s' "$separator" && quoted "$item" && separator=,
  done
  printf ']'
}
# shellcheck source=/dev/null
field() { (. /etc/os-release 2>/dev/null && eval "echo \${$1:-}") || true; }
ports_in_use() {
  local listening port
  listening=$(ss -Hltn 2>/dev/null | awk '{ sub(/.*:/, "", $4); print $4 }')
  while read -r port; do if grep -qx "$port" <<<"$listening"; then echo "$port"; fi; done <<<"$PORTS"
}
# Prints the MAC address of another machine that holds the virtual IP. The neighbour table may be stale: sending a packet
# makes the kernel ask again, and some seconds later the entry is REACHABLE or FAILED.
holder() {
  local look entry
  if ip -o -4 addr show | grep -qF " $VIRTUAL_IP/"; then return; fi
  for ((look = 1; look <= 40; look++)); do
    (echo >"/dev/udp/$VIRTUAL_IP/9") 2>/dev/null || true
    sleep 0.2
    entry=$(ip -4 neigh show "$VIRTUAL_IP" 2>/dev/null | head -n 1)
    case $entry in
      *REACHABLE*) sed -n 's/.*lladdr \([0-9a-f:]*\).*/\1/p' <<<"$entry" && return ;;
      '' | *FAILED*) if ((look > 5)); then return; fi ;;
    esac
  done
}
# Prints the firewalls that drop what comes in or is passed on, one a line: those with a name, and each base chain whose
# policy or last rule drops. Docker's, for one, drops what other machines' pods send through this one. A node's are not
# asked for: Debian 12's nft crashes on the tables of kube-proxy.
firewalls() {
  if [[ $(server) ]]; then return; fi
  if LC_ALL=C ufw status 2>/dev/null | grep -q '^Status: active'; then echo ufw; fi
  if LC_ALL=C firewall-cmd --state 2>/dev/null | grep -q '^running'; then echo firewalld; fi
  { nft list ruleset 2>/dev/null || true; } | awk '
    $1 == "table" { table = $2 " " $3 }
    $1 == "chain" { chain = $2; drops = based = 0; next }
    / hook (input|forward) / && $2 == "filter" { based = 1; drops = / policy drop;/; next }
    $1 == "}" { if (based && drops) print "nftables " table " " chain; based = 0; next }
    { sub(/^[ \t]+/, ""); sub(/^counter packets [0-9]+ bytes [0-9]+ /, ""); sub(/ comment ".*"$/, "") }
    based && /^(drop|reject.*)$/ { drops = 1 }'
  # Only where the old iptables is in use: asking it would load its modules.
  if [[ -s /proc/net/ip_tables_names ]]; then
    { iptables-legacy -S 2>/dev/null || true; } | awk '
      $2 ~ /^(INPUT|FORWARD)$/ && ($0 ~ /^-P [A-Z]+ DROP$/ || $0 ~ /^-A [A-Z]+ -j (DROP|REJECT.*)$/) { print "iptables " $2 }'
  fi
}
server() {
  local file=/etc/kubernetes/kubelet.conf
  if [[ -s /var/lib/argus/cluster ]]; then
    cat /var/lib/argus/cluster
  elif [[ -s $file ]]; then
    sed -n 's/^ *server: *//p' $file
  fi
}
# The version of containerd that is there, or else that apt would install; nothing where neither is known.
containerd_version() {
  local said
  if said=$(containerd --version 2>/dev/null); then
    awk '{ sub(/^v/, "", $3); print $3 }' <<<"$said"
  else
    { LC_ALL=C apt-cache policy containerd 2>/dev/null || true; } | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'
  fi
}
# What this machine swaps to, and what it would swap to after its next start, one a line: `NAME KIND`.
swaps() {
  local name kind
  while read -r name kind _; do
    case $name in /dev/zram*) kind=zram ;; esac
    echo "$name $kind"
  done < <(tail -n +2 /proc/swaps)
  # Of /etc/fstab, of a partition that systemd has found by its type, of zram-generator, or written by hand.
  { LC_ALL=C systemctl list-units --all --plain --no-legend --type=swap 2>/dev/null || true; } |
    awk '$2 == "loaded" && $3 == "inactive" { print $1, "unit" }'
}
# The nearest folder to a path that exists.
nearest() {
  local path=$1
  while [[ ! -d $path ]]; do path=${path%/*} path=${path:-/}; done
  echo "$path"
}
# Where Argus fills disks: `path device size free` (MiB). Folders on one file system have one device.
disks() {
  local path at
  for path in /var/lib "$VOLUMES" /var/lib/containerd /var/lib/etcd /var/lib/kubelet; do
    at=$(nearest "$path")
    echo "$path $(stat -c %d "$at") $(df --output=size,avail -m "$at" | tail -n 1)"
  done
}
# The volumes that there are: `service device used` (MiB), or `-` if measuring one takes longer than a minute.
volumes() {
  local folder file used
  for folder in "$VOLUMES"/*/; do
    [[ -d $folder ]] || continue
    folder=${folder%/} file=${VOLUMES%/*}/disks/${folder##*/}.img
    # The file of one with a file system of its own. Files that go meanwhile are no error.
    [[ -e $file ]] || file=$folder
    used=$(timeout 60 du -sxm "$file" 2>/dev/null | cut -f 1) || true
    echo "${folder##*/} $(stat -c %d "$file") ${used:--}"
  done
}
# Whether the kernel encrypts volumes: it has dm-crypt, or a module of it; a container makes no devices.
encrypts() {
  local modules
  modules=/lib/modules/$(uname -r)
  if systemd-detect-virt --quiet --container; then return 1; fi
  dmsetup targets 2>/dev/null | grep -q '^crypt ' || grep -qs '/dm-crypt\.ko' "$modules"/modules.{dep,builtin}
}

cat <<FACTS
{
  "skew_seconds": $skew,
  "os": $(quoted "$(field ID)"),
  "os_version": $(quoted "$(field VERSION_ID)"),
  "systemd": $([[ -d /run/systemd/system ]] && echo true || echo false),
  "root": $([[ $(id -u) == 0 ]] && echo true || echo false),
  "hostname": $(quoted "$(cat /proc/sys/kernel/hostname)"),
  "machine_id": $(quoted "$(cat /etc/machine-id 2>/dev/null)"),
  "memory_mib": $(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo),
  "disk_mib": $(df --output=avail -m /var/lib | tail -n 1 | tr -d ' '),
  "disks": $(disks | listed),
  "volumes": $(volumes | listed),
  "encrypts": $(encrypts && echo true || echo false),
  "containerd": $(quoted "$(containerd_version)"),
  "swap": $(swaps | listed),
  "ports_in_use": $(ports_in_use | listed),
  "addresses": $(ip -o -4 addr show | awk '{ sub(/\/.*/, "", $4); print $4 }' | listed),
  "macs": $(cat /sys/class/net/*/address | sort -u | listed),
  "firewalls": $(firewalls | LC_ALL=C sort -u | listed),
  "virtual_ip_holder": $(quoted "$(holder)"),
  "cluster": $(quoted "$(server)")
}
FACTS
