#!/usr/bin/env bash
# Runs on the control plane that holds the virtual IP, before a node is upgraded: refuses unsupported version changes,
# waits until all nodes are Ready, drains the node and prints `drained`; prints `current` if there is nothing to upgrade.
: "${NODE:?}" "${VERSION:?}"
is_member || die "$NODE is not upgraded: this machine holds the virtual IP and is no control plane"

# all_ready: whether every node is Ready; the others are in $unready.
all_ready() {
  local nodes
  nodes=$(readiness nodes) || return
  unready=$(awk '$2 != "True" { print $1 }' <<<"$nodes")
  [[ ! $unready ]]
}
minor() { cut -d. -f2 <<<"$1"; }

state=$(until_true 60 upgrade_state "$NODE") || die "the API server does not answer, or knows no node $NODE"
IFS='|' read -r runs cordoned mark <<<"$state"
if [[ $runs == "$VERSION" && ! $mark ]]; then
  echo current
  exit 0
fi
newest=$(printf '%s\n' "$runs" "$VERSION" | sort -V | tail -n 1)
[[ $newest == "$VERSION" ]] || die "$NODE runs Kubernetes $runs, and Kubernetes does not go back: set" \
  "argus:cluster.kubernetesVersion to $runs or newer"
(($(minor "$VERSION") - $(minor "$runs") <= 1)) || die "$NODE runs Kubernetes $runs, and no minor version may be skipped:" \
  "set argus:cluster.kubernetesVersion to 1.$(($(minor "$runs") + 1)).x first"

if [[ ! $mark ]]; then
  # Do not stop a control plane while another is down, or etcd would lose its majority.
  unready="no API server answers"
  until_true 120 all_ready || die "$NODE is not upgraded, because not every node is ready: $unready"
  until_true 120 etcd endpoint health --cluster >/dev/null 2>&1 ||
    die "$NODE is not upgraded, because an etcd member is not healthy"
  before=schedulable
  if [[ $cordoned ]]; then before=cordoned; fi
  admin annotate node "$NODE" --overwrite "argus.dev/upgrade=$before" >&2
fi
say "draining $NODE, to bring it from Kubernetes $runs to $VERSION"
admin cordon "$NODE" >&2
# An interrupted upgrade may have left the node not Ready; it was drained before, so the upgrade continues.
drain "$NODE" || [[ $mark ]] || die "$NODE died while it was drained: start it, or take it out of argus:machines"
echo drained
