#!/usr/bin/env bash
# Runs on the control plane that holds the virtual IP: deletes the node of a machine that was reset or is dead. Does nothing
# if the cluster is gone, or if another machine has the name by now.
# With the argument `lost`, the machine was not undone and is only presumed dead: a node that is still Ready is not deleted.
: "${NODE:?}" "${ADDRESS:?}"
is_member || exit 0
address=$(until_true 30 node_address "$NODE") || die "the API server does not answer, and the cluster does not forget $NODE:" \
  "bring it back first, or give the whole cluster up (docs/operations.md, Back up and restore), then run this again"
if [[ ! $address || $address == "$ADDRESS" ]]; then
  if [[ $address && ${1:-} == lost ]]; then
    until_true 60 is_lost "$NODE" || die "$NODE lives, but another machine answers at $ADDRESS, or it refuses the login, lacks" \
      "$STATE, or has another SSH host key (give that as its hostKey in argus:machines, \`pulumi up\`, then take it out):" \
      "mend that, or stop $NODE first"
  fi
  until_true 60 forget "$NODE" || die "$NODE is not forgotten: see above"
fi
