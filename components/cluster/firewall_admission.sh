#!/usr/bin/env bash
# Where this control plane has a host firewall: lets the stack's machines in, before new ones join. Nobody is shut out here;
# host_firewall.sh does that, once they are nodes. Who is in the list and no machine of the stack any more counts as leaving:
# a node, or one whose join failed. firewall.sh takes it out when it is no node.
: "${MACHINES:?}" "${WORKERS:?}" # `address role` of a machine per line; whether workers are among them
list=/etc/argus/firewall-nodes
[[ -e $list ]] || exit 0
alone firewall
new=$(awk -v workers="$WORKERS" '
  NR == FNR { machines[$0]; order[NR] = $0; next }
  { machine = $1 " " $2; listed[machine] }
  machine in machines { print machine; next }
  $2 == "worker" && workers == "false" { print; next }
  { print machine, "leaving" }
  END { for (n = 1; n in order; n++) if (!(order[n] in listed)) print order[n] }' <(echo "$MACHINES") "$list")
[[ $new != "$(<"$list")" ]] || exit 0
write_firewall_nodes "$new"
# Where somebody flushed the rules, or a first step was cut short, this is not what sets them.
if in_force; then start_firewall; fi
