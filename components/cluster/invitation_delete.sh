#!/usr/bin/env bash
# The machine has been reset, or is dead: the cluster forgets its node. Nothing to do where the cluster itself is gone.
: "${JOINING:?}"
[[ -s /etc/kubernetes/admin.conf && -s $STATE/member ]] || exit 0
admin delete node "$JOINING" --ignore-not-found --wait=false --request-timeout=10s >&2 || say "$JOINING is not forgotten"
forget_etcd_member "$JOINING" || say "etcd may still count $JOINING as a member"
