#!/usr/bin/env bash
# Prints `name address podCIDR` of every node, once the controller manager has given each of the stack's machines a CIDR.
# A node that is about to leave is included, because its pods must reach the others until they have moved.
: "${MACHINES:?}" # `name address` of a machine per line

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
