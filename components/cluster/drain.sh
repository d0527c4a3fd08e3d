#!/usr/bin/env bash
# Runs on the control plane that holds the virtual IP, before a machine is removed: deletes the claims on its local volumes,
# moves its pods, then waits until the services that had a volume there have all their replicas again.
: "${NODE:?}"
is_member || exit 0

address=$(until_true 60 node_address "$NODE") || die "the API server does not answer"
[[ $address ]] || exit 0
admin cordon "$NODE" >&2
claims=$(until_true 60 claims_on "$NODE") || die "the API server does not answer"
released=()
if [[ $claims ]]; then mapfile -t released <<<"$claims"; fi
# A claim is deleted once its pod is gone; the replacement pod makes a new claim on another machine.
for claim in "${released[@]}"; do
  admin --namespace "${claim% *}" delete persistentvolumeclaim "${claim#* }" --wait=false >&2
done

if drain "$NODE"; then
  await_owners "${released[@]}"
else
  say "$NODE is dead: its pods are given up, not moved"
  give_up_pods "$NODE"
  # If several machines have died, a service may have lost its majority; keeping this node would not help.
  (await_owners "${released[@]}") || say "going on without $NODE all the same"
fi
