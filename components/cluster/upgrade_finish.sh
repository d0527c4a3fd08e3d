#!/usr/bin/env bash
# Runs on the control plane that holds the virtual IP, after a node was upgraded: waits until it is Ready in the new
# version, lets it run pods again, and waits for the services that have data there.
: "${NODE:?}" "${VERSION:?}"

is_upgraded() {
  state=$(upgrade_state "$NODE") && [[ ${state%%|*} == "$VERSION" ]] && is_ready "$NODE"
}
until_true 180 is_upgraded || die "$NODE is not ready in Kubernetes $VERSION: journalctl -u kubelet on it tells why"
until_true 120 etcd endpoint health --cluster >/dev/null 2>&1 || die "an etcd member is not healthy after $NODE's upgrade"
if [[ $state == *'|schedulable' ]]; then admin uncordon "$NODE" >&2; fi
found=$(until_true 60 claims_on "$NODE") || die "the API server does not answer"
claims=()
if [[ $found ]]; then mapfile -t claims <<<"$found"; fi
await_owners "${claims[@]}"
admin annotate node "$NODE" argus.dev/upgrade- >&2
say "$NODE runs Kubernetes $VERSION"
