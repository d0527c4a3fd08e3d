#!/usr/bin/env bash
# A node's pods and volumes when the node is drained or lost.

# claims_on NAME: prints `namespace name` of every claim that is bound to a local volume of a node.
claims_on() {
  admin get persistentvolumes -o jsonpath='{range .items[?(@.spec.local)]}{.spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0]}{" "}{.spec.claimRef.namespace}{" "}{.spec.claimRef.name}{" "}{.status.phase}{"\n"}{end}' |
    awk -v node="$1" '$1 == node && $4 == "Bound" { print $2, $3 }'
}

# drain NAME: moves the pods of a node to others, within their disruption budgets. Fails if the node is dead, which the
# cluster may notice only during the drain; pods of a dead node never terminate.
drain() {
  local deadline=$((SECONDS + 300)) state
  while state=$(until_true 60 ready "$1") || die "the API server does not answer"; do
    if [[ $state != True ]]; then return 1; fi
    if admin drain "$1" --ignore-daemonsets --delete-emptydir-data --force --timeout=30s >&2; then return; fi
    ((SECONDS < deadline)) ||
      die "$1 is not drained: see which pod's disruption budget allows nothing (kubectl get pdb -A), fix that, and run" \
        "\`pulumi up\` again"
  done
}

# await_owners CLAIM...: waits until the StatefulSets whose pods made these claims have all replicas ready.
await_owners() {
  local claim namespace pod service found
  for claim in "$@"; do
    namespace=${claim% *} pod=${claim#* data-}
    service=statefulset/${pod%-*}
    # When the whole cluster is destroyed, the services are already gone.
    found=$(until_true 60 admin --namespace "$namespace" get "$service" --ignore-not-found -o name) ||
      die "the API server does not answer"
    [[ $found ]] || continue
    admin --namespace "$namespace" rollout status "$service" --timeout=300s >&2 ||
      die "$service is not whole: kubectl --namespace $namespace describe pod $pod"
  done
}

# give_up_pods NAME: force-deletes the pods of a dead node, where none can run any more.
give_up_pods() {
  admin get pods --all-namespaces --field-selector "spec.nodeName=$1" --no-headers --request-timeout=10s \
    -o custom-columns=NAMESPACE:.metadata.namespace,NAME:.metadata.name |
    while read -r namespace pod; do
      admin --namespace "$namespace" delete pod "$pod" --force --grace-period=0 --wait=false --ignore-not-found >&2
    done
}
