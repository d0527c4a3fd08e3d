#!/usr/bin/env bash
# Where this control plane has a host firewall: lets the stack's machines in, before new ones join. Nobody is shut out here;
# host_firewall.sh does that, once they are nodes.
: "${MACHINES:?}" # `address role` of a machine per line
list=/etc/argus/firewall-nodes
[[ -e $list ]] || exit 0
alone firewall
new=$(grep -vxF -f "$list" <<<"$MACHINES") || exit 0
{ cat "$list" && echo "$new"; } | put_firewall_nodes
# Where somebody flushed the rules, or a first step was cut short, this is not what sets them.
if in_force; then start_firewall; fi
