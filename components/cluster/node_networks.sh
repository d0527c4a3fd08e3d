#!/usr/bin/env bash
# Prints `name address podCIDR` of every given node, once the controller manager has given each its network.
: "${NODES:?}"

networks() {
  mapfile -t nodes <<<"$NODES"
  admin get nodes "${nodes[@]}" --request-timeout=10s -o jsonpath='{range .items[*]}{.metadata.name}{" "}{.status.addresses[?(@.type=="InternalIP")].address}{" "}{.spec.podCIDR}{"\n"}{end}{.metadata.name}{" "}{.status.addresses[?(@.type=="InternalIP")].address}{" "}{.spec.podCIDR}'
}

complete() {
  found=$(networks 2>/dev/null | awk 'NF == 3' | sort -u)
  [[ $(wc -l <<<"$found") == $(wc -l <<<"$NODES") && $found ]]
}

until_true 60 complete || die "these nodes have no pod network yet: $(comm -23 <(sort <<<"$NODES") <(cut -d' ' -f1 <<<"$found"))"
echo "$found"
