#!/usr/bin/env bash
# Runs on the computer that runs Pulumi: undoes a machine over SSH if it answers, and deletes its node from the cluster in
# any case. A machine with another host key is not the one that became a node: it is not touched, and its node is deleted
# like a dead one, unless the node is still Ready.
: "${NODE:?}" "${HOST:?}" "${ENDPOINT:?}" "${UNDO:?}" "${FORGET:?}"

lost=''
if answers "$HOST"; then
  on "$HOST" "$UNDO" || {
    echo "error: $NODE ($HOST) was not left as it was found; see above, then run \`pulumi up\` or \`destroy\` again" >&2
    exit 1
  }
elif unknown_key; then
  echo "the machine at $HOST shows another SSH host key than $NODE did: it is left alone" >&2
  lost=lost
else
  echo "$NODE ($HOST) does not answer over SSH: it is forgotten as it is. If it comes back, run \`kubeadm reset\`" \
    "there before its next use" >&2
fi

# After the last control plane, nothing answers at the endpoint, and there is no cluster left to delete a node from.
if cluster_lost; then
  echo "$NODE is not forgotten: the cluster is given up" >&2
elif answers "$ENDPOINT"; then
  on "$ENDPOINT" "$FORGET${lost:+ forget $lost}"
elif unknown_key; then
  echo "error: the machine at $ENDPOINT shows the SSH host key of no control plane of this stack, so it is not told to" \
    "delete the node $NODE" >&2
  exit 1
fi
