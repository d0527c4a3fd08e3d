#!/usr/bin/env bash
# Runs on the control plane that holds the virtual IP: applies the manifest on standard input, and waits until the stack's
# nodes are ready, which they are when its plugins are on them. What somebody else changed of it is put right.
: "${DIGEST:?}" "${NODES:?}" # the manifest's digest: another one, and this runs again
is_member || die "this machine holds the virtual IP and is no control plane"
alone network

manifest=$(mktemp -p /run)
trap 'rm -f "$manifest"' EXIT
cat >"$manifest"

# Again and again: a new kind of object is known only some time after its definition.
apply() { said=$(admin apply --server-side --force-conflicts --field-manager=argus --filename "$manifest" 2>&1 >/dev/null); }
until_true 60 apply || die "argus:cluster.network.manifest cannot be applied: $said"

unready=$NODES
nodes_ready() {
  local nodes
  nodes=$(readiness nodes) || return
  unready=$(comm -23 <(sort <<<"$NODES") <(awk '$2 == "True" { print $1 }' <<<"$nodes" | sort))
  [[ ! $unready ]]
}
until_true 600 nodes_ready ||
  die "the network of argus:cluster.network.manifest does not make these nodes ready: ${unready//$'\n'/ }. See how its pods are" \
    "(kubectl get pods -A -o wide), mend the manifest, and run \`pulumi up\` again"
