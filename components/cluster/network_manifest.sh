#!/usr/bin/env bash
# Runs on the control plane that holds the virtual IP: applies the manifest from standard input, then waits until the
# stack's nodes are Ready, which needs the network's plugins. Changes that others made to its objects are overwritten.
: "${DIGEST:?}" "${NODES:?}" # a changed digest of the manifest makes this run again
is_member || die "this machine holds the virtual IP and is no control plane"
alone network

manifest=$(mktemp -p /run)
trap 'rm -f "$manifest"' EXIT
cat >"$manifest"

# Repeated, because the API server knows a custom resource only some time after its definition is applied.
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
    "(kubectl get pods -A -o wide), fix the manifest, and run \`pulumi up\` again"
