#!/usr/bin/env bash
# firewall: sets the rules of the host firewall from /etc/argus/firewall-nodes, which has a line `address role` for each
# machine, with the word `leaving` where it is a node and no longer of the stack. argus-firewall.service runs it: before the
# kubelet starts, when the list changes, and every few minutes, in case that somebody flushed the rules.
: "${CONTROL_PLANE:?}" "${POD_NETWORK:?}" "${ETCD_PORTS:?}" "${NODE_PORTS:?}" "${API_PORTS:?}" "${API_CLIENTS?}"
list=/etc/argus/firewall-nodes

# admits CHAIN PORTS SOURCES: prints the rules by which these sources open these ports, and nobody else does.
admits() {
  local each
  for each in $2; do echo "-A ARGUS-FIREWALL -p tcp --dport $each --syn -g $1"; done
  for each in $3; do echo "-A $1 -s $each -j RETURN"; done
  echo "-A $1 -j DROP"
}

# rules CONTROL_PLANES CLUSTER CLIENTS: prints all rules. Only a connection's first packet is looked at, so none that exists is
# cut off. In the table `security`, it does not matter what others accept in theirs.
rules() {
  local each port
  echo '*security'
  for each in FIREWALL FORWARD ETCD NODE API; do echo ":ARGUS-$each - [0:0]"; done
  echo '-A ARGUS-FIREWALL -i lo -j RETURN'
  admits ARGUS-NODE "$NODE_PORTS" "$2"
  if [[ $CONTROL_PLANE == true ]]; then
    admits ARGUS-ETCD "$ETCD_PORTS" "$1"
    [[ ! $API_CLIENTS ]] || admits ARGUS-API "$API_PORTS" "$3"
  fi
  # Another machine sees what a pod sends it under the address of the pod's machine, which may be a control plane.
  for each in $1; do
    for port in $ETCD_PORTS; do echo "-A ARGUS-FORWARD -s $POD_NETWORK -d $each -p tcp --dport $port --syn -j DROP"; done
  done
  echo COMMIT
}

# set_rules PROGRAM <rules: sets them as one, and has packets look at them.
set_rules() {
  local program=$1 chain
  "$program-restore" --wait --noflush
  for chain in "INPUT ARGUS-FIREWALL" "FORWARD ARGUS-FORWARD"; do
    "$program" --wait -t security -C "${chain% *}" -j "${chain#* }" 2>/dev/null ||
      "$program" --wait -t security -A "${chain% *}" -j "${chain#* }"
  done
}

set_all() {
  local control_planes cluster
  control_planes=$(awk '$2 == "control-plane" { print $1 }' "$list" | sort -u)
  cluster=$(of_cluster <"$list")
  rules "$control_planes" "$cluster" "$cluster"$'\n'"$API_CLIENTS" | set_rules iptables
  # The cluster has no IPv6, but its programs listen there too.
  if [[ -e /proc/net/if_inet6 ]]; then rules '' '' '' | set_rules ip6tables; fi
}

# without_gone <nodes: prints the list without machines that were leaving and are no node any more.
without_gone() { awk 'NR == FNR { lives[$1]; next } $3 != "leaving" || $1 in lives' - "$list"; }

[[ -e $list ]] || exit 0
set_all
# Not while the kubelet waits for this to start, nor while a step writes the list.
if [[ $CONTROL_PLANE == true ]] && grep -q ' leaving$' "$list" && systemctl is-active -q kubelet.service; then
  exec 9>/run/argus-firewall.lock
  if flock -n 9 && nodes=$(nodes_by_role) && [[ $nodes ]]; then
    living=$(without_gone <<<"$nodes")
    write_firewall_nodes "$living"
    set_all
  fi
fi
