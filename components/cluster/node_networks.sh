#!/usr/bin/env bash
# Prints `name address podCIDR` of every node, once each of the stack's machines has its network from the controller
# manager. A node that is about to leave is still among them: its pods must reach the others until they have moved.
: "${MACHINES:?}" # `name address`, a line a machine

networks() {
  admin get nodes --request-timeout=10s -o jsonpath='{range .items[*]}{.metadata.name}{" "}{.status.addresses[?(@.type=="InternalIP")].address}{" "}{.spec.podCIDR}{"\n"}{end}'
}

complete() {
  found=$(networks 2>/dev/null | awk 'NF == 3' | sort)
  missing=$(comm -23 <(sort <<<"$MACHINES") <(cut -d' ' -f1,2 <<<"$found"))
  [[ ! $missing ]]
}

until_true 60 complete || die "these nodes have no pod network yet: $missing"
echo "$found"
