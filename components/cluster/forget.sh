#!/usr/bin/env bash
# Runs on the control plane that holds the virtual IP: the machine of this address has been reset, or is dead, and the
# cluster forgets its node. Nothing to do where the cluster itself is gone, or another machine has the name by now.
: "${NODE:?}" "${ADDRESS:?}"
is_member || exit 0
known=$(until_true 30 node_address "$NODE") || die "the API server does not answer"
if [[ ! $known || $known == "$ADDRESS" ]]; then
  until_true 60 forget "$NODE" || die "$NODE is not forgotten: see above"
fi
