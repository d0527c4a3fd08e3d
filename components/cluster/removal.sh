#!/usr/bin/env bash
# Runs on the computer that runs Pulumi: undoes a machine over SSH if it answers, and deletes its node from the cluster in
# any case. A machine that was not undone is only presumed dead: its node is deleted unless it is still Ready. So is one with
# another host key, which is not the machine that became a node, and is not touched.
: "${NODE:?}" "${HOST:?}" "${ENDPOINT:?}" "${UNDO:?}" "${FORGET:?}"

lost=lost status=0
answers "$HOST" || status=$?
if ((status == 0)); then
  undone=$(told "$HOST" "$UNDO") || {
    echo "error: $NODE ($HOST) was not left as it was found; see above, then run \`pulumi up\` or \`destroy\` again" >&2
    exit 1
  }
  [[ ${undone##*$'\n'} != undone ]] || lost=''
elif ((status != 255)); then
  echo "error: $NODE ($HOST) lets $SSH_USER log in, but runs no command (see above): mend that, or stop the machine, then run" \
    "\`pulumi up\` or \`destroy\` again" >&2
  exit 1
elif unknown_key; then
  echo "the machine at $HOST shows another SSH host key than $NODE did: it is left alone" >&2
else
  echo "$NODE ($HOST) does not answer over SSH: it is forgotten as it is. If it comes back, run there before its next use:" \
    "kubeadm reset; systemctl disable argus-firewall.timer argus-firewall.service; and restart it" >&2
fi

# After the last control plane, nothing answers at the endpoint, and there is no cluster left to delete a node from.
if cluster_lost; then
  echo "$NODE is not forgotten: the cluster is given up" >&2
  exit 0
fi
status=0
answers "$ENDPOINT" || status=$?
if ((status == 0)); then
  told "$ENDPOINT" "$FORGET${lost:+ $lost}"
elif ((status != 255)); then
  echo "error: the machine at $ENDPOINT runs no command (see above), so it is not told to delete the node $NODE" >&2
  exit 1
elif unknown_key; then
  echo "error: the machine at $ENDPOINT shows the SSH host key of no control plane of this stack, so it is not told to" \
    "delete the node $NODE" >&2
  exit 1
fi
