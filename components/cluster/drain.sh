#!/usr/bin/env bash
# Runs on the control plane that holds the virtual IP, before a machine is taken out: gives its local volumes up and
# moves its pods, then waits until the services that had a volume there are whole again elsewhere.
: "${NODE:?}"
is_member || exit 0

# claims: `namespace name` of every claim on a local volume of this machine.
claims() {
  admin get persistentvolumes -o jsonpath='{range .items[?(@.spec.local)]}{.spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0]}{" "}{.spec.claimRef.namespace}{" "}{.spec.claimRef.name}{" "}{.status.phase}{"\n"}{end}' |
    awk -v node="$NODE" '$1 == node && $4 == "Bound" { print $2, $3 }'
}

known=$(until_true 60 node_address "$NODE") || die "the API server does not answer"
[[ $known ]] || exit 0
admin cordon "$NODE" >&2
mapfile -t released < <(claims)
# A claim goes when its pod does; the pod that follows it makes a new claim, on another machine.
for claim in "${released[@]}"; do
  admin --namespace "${claim% *}" delete persistentvolumeclaim "${claim#* }" --wait=false >&2
done

if is_ready "$NODE"; then
  admin drain "$NODE" --ignore-daemonsets --delete-emptydir-data --force --timeout=300s >&2 ||
    die "$NODE is not drained: see which pod's disruption budget allows nothing (kubectl get pdb -A), mend that, and" \
      "run \`pulumi up\` again"
else
  say "$NODE is dead: its pods are given up, not moved"
  give_up_pods "$NODE"
fi

for claim in "${released[@]}"; do
  namespace=${claim% *} pod=${claim#* data-}
  service=statefulset/${pod%-*}
  # A whole cluster that is destroyed has no services any more.
  [[ $(admin --namespace "$namespace" get "$service" --ignore-not-found -o name) ]] || continue
  admin --namespace "$namespace" rollout status "$service" --timeout=300s >&2 ||
    die "$service is not whole without $NODE: kubectl --namespace $namespace describe pod $pod"
done
