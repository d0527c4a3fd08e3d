#!/usr/bin/env bash
# The host firewall: who may open the ports of this machine's own programs. firewall.sh writes its rules from the list of
# machines in /etc/argus/firewall-nodes.

# write_firewall_nodes LIST: writes the list as a whole, because the timer may read it at any time.
write_firewall_nodes() {
  echo "$1" >/etc/argus/firewall-nodes.new
  mv -f /etc/argus/firewall-nodes.new /etc/argus/firewall-nodes
}

# of_cluster <list: prints who belongs to the cluster: the address of each machine of the list, and the pods' network.
of_cluster() { awk '{ print $1 }' | sort -u && echo "$POD_NETWORK"; }

# start_firewall: sets the rules by the list as it is now; `restart`, because a run that the timer began may have read the
# list before.
start_firewall() {
  systemctl restart argus-firewall.service ||
    die "the rules of the host firewall were refused: journalctl -u argus-firewall tells why. They need the kernel's table" \
      "\`security\`, which Debian's kernels have; or set argus:cluster.hostFirewall: off"
}

# in_force: whether the rules are set. A list alone says nothing: the step that wrote it may have been cut short.
in_force() { iptables --wait -t security -C INPUT -j ARGUS-FIREWALL 2>/dev/null; }

# open_ports: takes the firewall out. It is repeatable: the chain that is looked for is deleted last.
open_ports() {
  local program each chains='FORWARD ETCD NODE API FIREWALL'
  rm -f /etc/argus/firewall-nodes.{new,living} # `living` is an earlier version's
  [[ -e /usr/local/lib/argus/firewall || -e /etc/argus/firewall-nodes ]] || return 0
  systemctl disable -q --now argus-firewall.timer argus-firewall.service 2>/dev/null || true
  for program in iptables ip6tables; do
    "$program" --wait -t security -S ARGUS-FIREWALL >/dev/null 2>&1 || continue
    "$program" --wait -t security -D INPUT -j ARGUS-FIREWALL 2>/dev/null || true
    "$program" --wait -t security -D FORWARD -j ARGUS-FORWARD 2>/dev/null || true
    for each in $chains; do "$program" --wait -t security -F "ARGUS-$each" 2>/dev/null || true; done
    for each in $chains; do "$program" --wait -t security -X "ARGUS-$each" 2>/dev/null || true; done
  done
  restore /etc/systemd/system/argus-firewall.{timer,service} /etc/argus/firewall-nodes /usr/local/lib/argus/firewall
  rmdir --ignore-fail-on-non-empty /etc/argus /usr/local/lib/argus 2>/dev/null || true
  systemctl daemon-reload
}

# connected PORT...: prints the addresses, but for this machine's own, that have a connection open to one of these ports here.
connected() {
  local ports own
  ports=$(printf ' or sport = :%s' "$@")
  own=$(ip -o addr show | awk '{ sub(/\/.*/, "", $4); print $4 }')
  ss -Htn state established "( ${ports# or } )" |
    awk '{ sub(/:[0-9]+$/, "", $4); gsub(/[][]/, "", $4); sub(/^::ffff:/, "", $4); sub(/%.*/, "", $4); print $4 }' |
    sort -u | { grep -vxF "$own" || true; }
}

# outside SOURCE... <addresses: prints those addresses that are none of these IPv4 addresses and in none of these networks.
outside() {
  awk -v sources="$*" '
    function number(address, part) { split(address, part, "."); return ((part[1] * 256 + part[2]) * 256 + part[3]) * 256 + part[4] }
    BEGIN {
      count = split(sources, source, " ")
      for (i = 1; i <= count; i++) {
        size[i] = 2 ^ (32 - (split(source[i], each, "/") > 1 ? each[2] : 32))
        first[i] = int(number(each[1]) / size[i])
      }
    }
    /:/ { print; next }
    NF { for (i = 1; i <= count; i++) if (int(number($1) / size[i]) == first[i]) next; print }'
}

# ssh_client: prints the address from which the login came that runs this; nothing where none of its processes knows.
ssh_client() {
  local process=$$ found
  while ((process > 1)); do
    found=$(tr '\0' '\n' <"/proc/$process/environ" | sed -n 's/^SSH_CONNECTION=\([^ ]*\) .*/\1/p')
    if [[ $found ]]; then echo "${found#::ffff:}" && return; fi
    process=$(awk '/^PPid:/ { print $2 }' "/proc/$process/status")
  done
}
