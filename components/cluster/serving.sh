#!/usr/bin/env bash
# Runs on the control plane that holds the virtual IP: waits until a node's kubelet has its serving certificate.
: "${NODE:?}" "${ADDRESS:?}"
await_serving "$NODE" "$ADDRESS"
