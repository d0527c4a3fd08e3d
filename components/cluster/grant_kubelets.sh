#!/usr/bin/env bash
# grant-kubelets: on the control plane that holds the virtual IP, grants the kubelets' requests for serving certificates.
# NODES has a line `name address` for each machine of the stack.
: "${VIRTUAL_IP:?}" "${NODES:?}"
holds "$VIRTUAL_IP" || exit 0
grant_serving "$NODES"
